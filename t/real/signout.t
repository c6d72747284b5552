#!/usr/bin/perl
# Signing out at a certified provider: its back-channel calls reach every store, in all workers, whoever asked for the end. The clients
# authenticate by JWT and get their answers by form_post.

use strict;
use warnings;

use OIDC::Provider::Keys;
use OIDC::Real;
use OIDC::Redis;
use OIDC::Test;

my $ngx = OIDC::Nginx->new(workers => 2);
my $site = 'http://localhost:' . $ngx->port('site');
my $redis = OIDC::Redis->new;
my $keys = OIDC::Provider::Keys->new($ngx->{dir});
my $key = $keys->private('es256');
my %stores = (zone => '', cookie => 'session_store cookie;', redis => 'session_store unix:' . $redis->socket . ';');
my @stores = sort keys %stores;
my %clients = map {
    my %metadata = (backchannel_logout_uri => "$site/ended_$_", backchannel_logout_session_required => $_ eq 'zone' ? \0 : \1);
    ("app-$_" => { %metadata, token_endpoint_auth_method => 'client_secret_jwt' });
} @stores;
@{ $clients{'app-redis'} }{qw(token_endpoint_auth_method public_key)} = ('private_key_jwt', $keys->save('es256.pem', $keys->public_pem('es256')));

my $provider = OIDC::Real->provider(redirect_uris => ["$site/oidc_callback"], post_logout_redirect_uris => ["$site/bye"], more_clients => \%clients);
sub block {
    my ($name, $client, $auth) = @_;
    return "oidc_provider $name { " . $provider->directives("app-$client") . " $stores{$client} $auth response_mode form_post; cookie_name \U$name\E;"
        . " logout_uri /logout_$name; post_logout_uri /bye; backchannel_logout_uri /ended_$name; }\n";
}
my $by_key = "client_auth_method private_key_jwt; client_key $key;";
my $wrong = $keys->private('es256_wrong');
$ngx->configure(http => join('', map { block($_, $_, $_ eq 'redis' ? $by_key : 'client_auth_method client_secret_jwt;') } @stores)
        . block('wrong', 'redis', "client_auth_method private_key_jwt; client_key $wrong;") . app_conf()
        . "server { listen 127.0.0.1:%%PORT_site%%; server_name localhost; location = /bye { return 200 bye; }\n"
        . join('', map { "location /$_ { auth_oidc $_; proxy_set_header X-Sub \$oidc_claim_sub; proxy_pass http://127.0.0.1:%%PORT_app%%; }\n" } @stores, 'wrong')
        . "}\n");
$ngx->start;

sub visitor {
    my ($user, @pages) = @_;
    my $who = OIDC::Browser->new(base => $site);
    for my $page (@pages) {
        my $answer = OIDC::Real::sign_in($who, "/$page", user => $user);
        is $answer->status, 200, "$user signs in at /$page";
        like $answer->body, qr/sub=$user/, 'and is who was asked for';
    }
    return $who;
}
# A worker each may answer, so more than one connection asks.
sub sees { my ($who, $page) = @_; return join ' ', map { $who->get("/$page", kind => 'fetch')->status } 1 .. 4 }
sub ended { my ($name) = @_; return join ' ', $ngx->error_log =~ /signed out by the provider "$name", sessions ended: (\d+)/g }

my $other = visitor('bob', @stores);
my $tablet = visitor('alice', @stores);
my $who = visitor('alice', @stores);

# ---- the user signs out at the provider itself ----
{
    my $asked = $who->get($provider->issuer . '/session/end');
    is $asked->status, 200, 'the provider asks';
    $who->submit($asked);
    for my $store (@stores) {
        is sees($who, $store), '401 401 401 401', "$store: the session of this browser is gone in every worker";
        is ended($store), $store eq 'zone' ? 2 : 1, "$store: the log says how many sessions ended";
        is sees($other, $store), '200 200 200 200', "$store: another user's goes on";
        is sees($tablet, $store), $store eq 'zone' ? '401 401 401 401' : '200 200 200 200',
            $store eq 'zone' ? 'zone: a logout token without sid ends all of the user' : "$store: with sid the same user's other browser goes on";
    }
}

# ---- signing out of one application, the provider tells the others ----
{
    my $again = visitor('carol', @stores);
    my $out = $again->get('/logout_zone', from => "$site/zone");
    like $out->location, qr{^\Q@{[$provider->issuer]}\E/session/end\?}, 'one application signs out at the provider';
    my $back = $again->submit($again->get($out->location, from => $out->url));
    is $again->resolve($back->location, $back->url) =~ s/\?.*//r, "$site/bye", 'and the browser comes back';
    is sees($again, $_), '401 401 401 401', "$_: is signed out too" for @stores;
    is sees($other, $_), '200 200 200 200', "$_: another user is not" for @stores;
}

# ---- the wrong key ----
{
    my $who = OIDC::Browser->new(base => $site);
    my $answer = OIDC::Real::sign_in($who, '/wrong');
    is $answer->status, 502, 'a client_key that the provider does not know: no login';
    my ($line) = $ngx->error_log =~ /^(.*provider "wrong".*)$/m;
    like $line // '', qr/invalid_client/, 'the log has what the provider says';
    note $line // '';
}

done_testing;
