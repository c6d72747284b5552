# Logins in flight are sealed cookies of the browser: how many, how large, how long, and what they are good for.

use strict;
use warnings;

use FindBin;
use lib "$FindBin::Bin/lib";

use OIDC::Test;

my $ticket = qr/^(?:__Host-)?NGX_OIDC_LOGIN_/;
my $op = OIDC::Provider->new(tls => 0);
my ($ngx, undef, $browser) = site(
    op => $op,
    http => provider_conf($op, name => 'secure', provider => 'redirect_uri https://localhost/secure_callback;')
        . provider_conf($op, name => 'hasty', provider => 'login_timeout 1s; redirect_uri /hasty_callback;')
        . provider_conf($op, name => 'posts', provider => 'response_mode form_post; redirect_uri /posts_callback;') . <<'END',
    server {
        listen 127.0.0.1:%%PORT_site%%;
        server_name named.example;
        location / { auth_oidc posts; }
    }
END
    server => join('', map { "location /$_ { auth_oidc $_; try_files /none \@app; } " } qw(secure hasty posts)) . 'location @app { return 200 "in\n"; }',
);

sub tickets { my ($who) = @_; return grep { $_->{name} =~ $ticket } $who->cookies->all }
sub bytes { my ($who) = @_; my $size = 0; $size += length("$_->{name}=$_->{value}; ") for tickets($who); return $size }

# ---- how many, how large ----

{
    my $who = $browser->fresh;
    my @states = map { $who->begin("/tab$_")->query->{state} } 1 .. 6;
    my @kept = map { $_->{name} =~ s/$ticket//r } grep { $_->{name} =~ $ticket } $who->cookies->all;
    is_deeply [sort @kept], [sort @states[1 .. 5]], 'five tickets: the oldest goes';
}
{
    my $who = $browser->fresh;
    $who->begin('/tab?' . 'x' x 1000) for 1 .. 5;
    my $size = 0;
    my @kept = grep { $_->{name} =~ $ticket } $who->cookies->all;
    $size += length("$_->{name}=$_->{value}; ") for @kept;
    cmp_ok $size, '<=', 2500, 'all tickets together stay under 2,500 bytes';
    cmp_ok scalar @kept, '>=', 4, 'because targets are shortened before logins are given up';
    my $last = $who->begin('/tab_last?' . 'x' x 1000);
    my $answer = $who->open_callback($who->approve($last)->location);
    is $answer->location, $who->resolve('/tab_last'), 'a shortened target is its path';
}
{
    my $who = $browser->fresh;
    $who->cookies->put("NGX_OIDC_LOGIN_$_->[0]", $_->[1]) for ['junk', 'x'], ['empty', ''], ['A' x 43, 'B' x 200];
    $who->cookies->put('other', 'kept');
    my $answer = $who->begin('/app');
    my %gone = map { $_->{name} => $_->{max_age} } grep { $_->{value} eq '' } $answer->set_cookies;
    is_deeply [@gone{map { "NGX_OIDC_LOGIN_$_" } 'junk', 'empty', 'A' x 43}], [0, 0, 0], 'unreadable tickets are deleted';
    ok !exists $gone{other}, 'and nothing else';
    is scalar(grep { $_->{name} =~ $ticket } $who->cookies->all), 1, 'the new one stays';
}
{
    my $who = $browser->fresh;
    my @tabs = map { $who->callback_of("/tab$_") } 1 .. 5;
    is $who->open_callback($tabs[4])->location, $who->resolve('/tab5'), 'five tabs: the last one signs in';
    is $who->open_callback($tabs[0])->location, $who->resolve('/tab1'), 'and the first one too';
}

for my $case (['/app', qr/^NGX_OIDC_LOGIN_/], ['/secure', qr/^__Host-NGX_OIDC_LOGIN_/]) {
    my ($path, $name) = @$case;
    my (@lost, @large, @others);
    # Somewhere among these lengths the second ticket just fits beside the first one, and just does not.
    for my $length (340 .. 400) {
        my $who = $browser->fresh;
        $who->begin("$path?" . 'x' x $_) for 1000, $length;
        push @lost, $length if tickets($who) != 2;
        push @large, $length if bytes($who) > 2500;
        push @others, $length if grep { $_->{name} !~ $name } tickets($who);
    }
    is_deeply \@lost, [], "$path: a target is shortened before an older login is given up, prefix counted";
    is_deeply \@large, [], "$path: and never are they more than 2,500 bytes";
    is_deeply \@others, [], "$path: under the name that they should have";
}

# ---- how long: the browser forgets a ticket when its time is over, and would one keep it, it is worth nothing ----

{
    my $who = $browser->fresh;
    my $begun = $who->begin('/hasty');
    my $kept = $begun->cookie($ticket);
    is $kept->{max_age}, 1, 'login_timeout is the life of the cookie';
    my $url = $who->approve($begun)->location;
    my $ends = time + 2;
    OIDC::Nginx::wait_until(sub { time > $ends });
    my $asked = $op->count('token');
    is $who->get($url, site => 'cross-site', cookies => "$kept->{name}=$kept->{value}")->status, 400, 'and of what is sealed in it';
    is $op->count('token'), $asked, 'nothing is sent to the provider';
    my $next = $who->get('/hasty', cookies => "$kept->{name}=$kept->{value}");
    is_deeply [map { $_->{max_age} } grep { $_->{name} eq $kept->{name} } $next->set_cookies], [0], 'it is deleted on the way';
}

# ---- what a session says of the login that made it ----

{
    my $who = $browser->fresh;
    my $mine = $who->callback_of('/mine');
    $who->open_callback($mine);
    my $other = $browser->fresh->callback_of('/other');
    my $asked = $op->count('token');
    my $answer = $who->open_callback($other);
    is $answer->status, 400, 'signed in, and a callback of somebody else: a page';
    is $op->count('token'), $asked, 'nothing is sent to the provider';
    is $who->open_callback($mine)->location, $who->resolve('/mine'), 'and one of this very login: on to its target';
    ok has_session($who), 'still signed in';
}

# ---- form_post over plain http: no browser brings the ticket along ----

{
    my $mark = $ngx->log_mark;
    my $answer = $browser->fresh->get('/app', headers => { Host => 'named.example' });
    is $answer->status, 500, 'form_post under a name that is not this machine, without https: 500';
    is_deeply [$answer->set_cookies], [], 'no ticket';
    ok $ngx->wait_log(qr/\[crit\] .*rule form_post_http: "response_mode form_post" needs https or a loopback name, found http:\/\/named\.example/, $mark), 'with a line that says why';
    is $browser->fresh->get('/posts')->status, 302, 'under localhost it goes';
}

done_testing;
