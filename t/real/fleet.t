#!/usr/bin/perl
# Two hosts with one Redis, and a certified provider, which rotates refresh tokens and ends the whole family when an old one comes back.

use strict;
use warnings;

use OIDC::Real;
use OIDC::Redis;
use OIDC::Test;

my $redis = OIDC::Redis->new;

sub statuses {
    my %seen;
    $seen{ $_->response->status }++ for @_;
    return join ' ', map { "$_:$seen{$_}" } sort keys %seen;
}

my @ports = map { OIDC::Nginx::free_port() } 1, 2;
my $real = OIDC::Real->provider(redirect_uris => ["http://localhost:$ports[0]/oidc_callback"], refresh_tokens => 1, first_life => 30, later_life => { 'app-post' => 1 });
my @fleet = map {
    my $port = $_;
    my $both = 'cookie_secret "a cookie secret of more than thirty-two bytes"; session_store unix:' . $redis->socket . '; session_refresh on required;';
    my $location = 'add_header X-Token $oidc_access_token always; proxy_pass http://127.0.0.1:%%PORT_app%%;';
    my $ngx = OIDC::Nginx->new(workers => 2, http => 'oidc_provider long { ' . $real->directives('app') . " $both }\n"
        . 'oidc_provider short { ' . $real->directives('app-post') . " $both client_auth_method client_secret_post; cookie_name SHORT; }\n" . app_conf()
        . "server { listen 127.0.0.1:$port; server_name localhost; location /long { auth_oidc long; $location } location /short { auth_oidc short; $location } }");
    $ngx->start;
    { ngx => $ngx, browser => OIDC::Browser->new(base => "http://localhost:$port") };
} @ports;

# A visitor who signs in at the first host and has the same cookie at both.
sub visitor {
    my ($page, $cookie) = @_;
    my $who = $fleet[0]{browser}->fresh;
    my $answer = $who->open_callback(OIDC::Real::at_provider($who, $who->get($page))->location);
    die 'no login: ' . $answer->status . "\n" unless $answer->is_redirect;
    return map { my $there = $_->{browser}->fresh; $there->cookies->put($cookie, $who->cookies->find($cookie)->{value}); $there } @fleet;
}
sub refreshed { return scalar map { $_->{ngx}->error_log =~ /session refreshed/g } @fleet }
sub tokens { my ($page, @who) = @_; return map { $_->get($page, kind => 'fetch')->header('X-Token') // '' } @who }

for my $round (1 .. 20) {
    my @who = visitor('/long', 'NGX_OIDC_SESSION');
    my $before = refreshed();
    is statuses(map { $who[$_ % 2]->send('GET', '/long', kind => 'fetch') } 1 .. 50), '200:50', "round $round: at the refresh moment 50 requests at two hosts are answered";
    my @tokens = tokens('/long', @who);
    ok length $tokens[0] && $tokens[0] eq $tokens[1], "round $round: the session goes on, with one token at both";
    is refreshed() - $before, 1, "round $round: after one refresh";
}

# Tokens of a second: the family grows, and nobody may ever use an old one.
my @who = visitor('/short', 'SHORT');
my $last = '';
for my $round (1 .. 5) {
    is statuses(map { $who[$_ % 2]->send('GET', '/short', kind => 'fetch') } 1 .. 50), '200:50', "refresh $round of one session: 50 are answered";
    my $next = OIDC::Nginx::wait_until(sub { my ($token) = tokens('/short', $who[$round % 2]); length $token && $token ne $last && $token }) // '';
    ok length $next, "refresh $round of one session: another token";
    $last = $next;
}
is join(' ', map { $_->get('/short', kind => 'fetch')->status } @who), '200 200', 'and the session was not lost';
$_->{ngx}->stop for @fleet;

done_testing;
