#!/usr/bin/perl
# auth_oidc_anonymous auto: of all that Firefox can ask for, only a navigation is sent to sign in. Firefox is not driven, it opens a page
# whose script asks; what it got is in nginx's log.

use strict;
use warnings;

use File::Temp qw(tempdir);
use OIDC::Test;
use POSIX ();

my ($firefox) = grep { -x } map { "$_/firefox-esr" } split /:/, $ENV{PATH};
plan skip_all => 'there is no Firefox: make test-all installs it' unless $firefox;

my $op = OIDC::Provider->new(tls => 0);
my ($ngx) = site(op => $op, server => "location /open/ { types { text/html html; } alias $OIDC::Nginx::CHECKOUT/t/more/; }\n location /guarded/ { auth_oidc my_idp; }");
my $profile = tempdir('oidc-firefox-XXXXXX', TMPDIR => 1, CLEANUP => 1);
my $pid = fork // die "fork: $!";
if (!$pid) {
    setpgrp;
    delete @ENV{ grep { /_proxy$/i } keys %ENV };
    $ENV{HOME} = $profile;
    open STDIN, '<', '/dev/null';
    open STDOUT, '>', "$profile/log";
    open STDERR, '>&', \*STDOUT;
    exec $firefox, '--headless', '--no-remote', '--profile', $profile, 'http://localhost:' . $ngx->port('site') . '/open/firefox.html' or POSIX::_exit(127);
}
ok OIDC::Nginx::wait_until(sub { $op->count('authorize') }, 120), 'the navigation came to the provider' or diag OIDC::Nginx::slurp("$profile/log"), $ngx->access_log;
kill KILL => -$pid;
waitpid $pid, 0;

my ($log, %answered) = $ngx->access_log;
$answered{"$1 $2"}{$3}++ while $log =~ m{"(\w+) /guarded/(\w+)\S* HTTP/[\d.]+" (\d+)}g;
is_deeply [keys %{ delete $answered{'GET navigation'} }], [302], 'a navigation was sent to sign in';
is_deeply [map { "$_: " . join ',', sort keys %{ $answered{$_} } } sort keys %answered], [map { "$_: 401" } sort keys %answered], 'all else got 401';
cmp_ok scalar keys %answered, '>=', 14, join ', ', sort keys %answered;
is $op->count('authorize'), 1, 'and nothing else came to the provider';

done_testing;
