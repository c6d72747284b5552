#!/usr/bin/perl
# auth_oidc_anonymous auto: of all that Chromium can ask for, only a navigation is sent to sign in.

use strict;
use warnings;

use Test::More;
use OIDC::Chromium;

for my $scheme (qw(http https)) {
    my $site = OIDC::Chromium->new($scheme);
    $site->visit('requests');
    my %answered;
    for my $line (split /\n/, $site->{nginx}->access_log) {
        my ($method, $kind, $status) = $line =~ m{"(\w+) /guarded/(\w+)\S* HTTP/[\d.]+" (\d+)} or next;
        $answered{"$method $kind"}{$status}++;
    }
    my @asked = grep { $_ ne 'GET navigation' } sort keys %answered;
    is_deeply [map { "$_: " . join ',', sort keys %{ $answered{$_} } } @asked], [map { "$_: 401" } @asked], "$scheme: every one of these got 401";
    cmp_ok scalar @asked, '>=', 15, "$scheme: " . join ', ', @asked;
    is_deeply [keys %{ $answered{'GET navigation'} }], [302], "$scheme: a navigation was sent to sign in";
    $site->stop;
}

done_testing;
