# Attributes and life of the session cookie, the idle life, and polling.

use strict;
use warnings;

use FindBin;
use lib "$FindBin::Bin/lib";

use OIDC::Test;


# Every Set-Cookie line of the session since the start, from the raw answers of a sign-in.
sub session_lines {
    my ($browser) = @_;
    my $begun = $browser->begin('/app');
    my $callback = $browser->approve($begun);
    my $answer = $callback->status == 302 && $callback->location ? $browser->get($callback->location) : $callback;
    return grep { /SESSION/ } $answer->headers_all('Set-Cookie');
}

for my $case (
    ['the default', '', {}, qr/^NGX_OIDC_SESSION=[\w-]{43}; Path=\/; HttpOnly; SameSite=Lax$/],
    ['a life', 'cookie_lifetime 1h;', {}, qr/; Path=\/; Max-Age=3600; HttpOnly; SameSite=Lax$/],
    ['of the browser', 'cookie_lifetime session;', {}, qr/; Path=\/; HttpOnly; SameSite=Lax$/],
    ['Strict', 'cookie_samesite Strict;', {}, qr/; SameSite=Strict$/],
    ['None', 'cookie_samesite None;', { https => 1 }, qr/; Secure; HttpOnly; SameSite=None$/],
    ['partitioned', 'cookie_partitioned on; cookie_samesite None;', { https => 1 }, qr/; Secure; HttpOnly; SameSite=None; Partitioned$/],
    ['a path', 'cookie_path /app;', {}, qr/; Path=\/app; /],
    ['https', '', { https => 1 }, qr/^NGX_OIDC_SESSION=[\w-]{43}; Path=\/; Secure; HttpOnly; SameSite=Lax$/],
    ['a prefix', 'cookie_prefix on;', { https => 1 }, qr/^__Host-NGX_OIDC_SESSION=[\w-]{43}; Path=\/; Secure; /],
    ['a prefix with a path', 'cookie_prefix on; cookie_path /app;', { https => 1 }, qr/^__Secure-NGX_OIDC_SESSION=/],
    ['a prefix on plain http', 'cookie_prefix on;', {}, qr/^NGX_OIDC_SESSION=/],
) {
    my ($name, $provider, $option, $expected) = @$case;
    my ($ngx, $op, $browser) = site(provider => $provider, %$option);
    my @lines = session_lines($browser);
    like $lines[-1] // '', $expected, $name;
    ok has_session($browser, '/app'), "$name: signed in";
    $ngx->stop;
}

{
    # The prefix promises that no neighbour has set the cookie: without it the same value is worth nothing.
    my ($ngx, undef, $browser) = site(provider => 'cookie_prefix on;', https => 1);
    $browser->login('/app');
    my $cookie = $browser->cookies->find('__Host-NGX_OIDC_SESSION');
    for my $name ('NGX_OIDC_SESSION', '__Secure-NGX_OIDC_SESSION', '__host-NGX_OIDC_SESSION') {
        is $browser->fresh->get('/app', cookies => "$name=$cookie->{value}")->status, 302, "a prefix is wished, and the cookie is called $name: nobody";
    }
    is $browser->fresh->get('/app', cookies => "$cookie->{name}=$cookie->{value}")->status, 200, 'under its own name it counts';
    $ngx->stop;
}

like conf_error("oidc_provider p { issuer https://p.example; client_id x; $$_[0] }"), $$_[1], $$_[0] for
    ['cookie_samesite Other;', qr/cookie_samesite/],
    ['cookie_samesite None; redirect_uri http://app.example/cb;', qr/"cookie_samesite None" needs https/],
    ['cookie_domain localhost;', qr/invalid value "localhost" in "cookie_domain", write a domain: example\.com/],
    ['cookie_path app;', qr/"cookie_path"/],
    ['cookie_lifetime soon;', qr/cookie_lifetime/];

{
    my ($ngx, $op, $browser) = site(provider => 'session_idle_timeout 4s;', server => 'location /poll { auth_oidc my_idp; auth_oidc_touch off; root %%DIR%%; }');
    $ngx->write_file('poll', "poll\n");
    $browser->login('/app');
    ok has_session($browser, '/poll'), 'idle life: signed in';
    ok OIDC::Nginx::wait_until(sub { !has_session($browser, '/poll') }, 20), 'polling keeps nobody signed in';
    $browser->login('/app');
    my $end = time + 7;
    my $kept = 1;
    OIDC::Nginx::wait_until(sub { $kept &&= has_session($browser, '/app'); time > $end }, 20);
    ok $kept, 'use does, for longer than the idle life';
}

done_testing;
