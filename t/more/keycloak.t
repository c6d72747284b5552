#!/usr/bin/perl
# Keycloak as it is: a named provider of a secrets.toml, clients that authenticate in four ways, its back-channel calls in every store,
# its front-channel frames, the sign-outs of its administrator, and its access tokens.

use strict;
use warnings;

use JSON::PP ();
use OIDC::Keycloak;
use OIDC::Provider::Keys;
use OIDC::Redis;
use OIDC::Test;

if (my $why = OIDC::Keycloak::missing()) {
    plan skip_all => $why;
}

my $nginx = OIDC::Nginx->new(workers => 2);
my $site = 'http://localhost:' . $nginx->port('site');
my $redis = OIDC::Redis->new;
my $keys = OIDC::Provider::Keys->new($nginx->dir);
my $secret = random_token();
secret($secret);

# How a client is told of a sign-out: by a call, or by a frame.
sub called { my ($name) = @_; return ('backchannel.logout.session.required' => 'true', 'backchannel.logout.url' => 'http://127.0.0.1:' . $nginx->port('site') . "/ended_$name") }
sub framed { my ($name) = @_; return ('frontchannel.logout.session.required' => 'true', 'frontchannel.logout.url' => "$site/framed_$name") }
my %client = (
    keycloak => ['client-secret', {}, ''],
    zone   => ['client-secret-jwt', { 'token.endpoint.auth.signing.alg' => 'HS256' }, 'client_auth_method client_secret_jwt;'],
    cookie => ['client-jwt', { 'use.jwks.string' => 'true', 'jwks.string' => JSON::PP->new->canonical->encode({ keys => [$keys->jwk('rs')] }) },
        'client_auth_method private_key_jwt; client_key ' . $keys->private('rs') . '; session_store cookie;'],
    redis  => ['client-secret', {}, 'client_auth_method client_secret_post; session_store unix:' . $redis->socket . ';'],
    front_zone   => ['client-secret', {}, 'frontchannel_logout_uri /framed_front_zone;'],
    front_cookie => ['client-secret', {}, 'frontchannel_logout_uri /framed_front_cookie; session_store cookie;'],
);
my @framed = grep { /^front/ } sort keys %client;
my @names = grep { !/^front/ } sort keys %client;
my $keycloak = OIDC::Keycloak->new(map { my ($authenticator, $attributes) = @{ $client{$_} }; {
    clientId => $_, secret => $secret, enabled => \1, protocol => 'openid-connect', publicClient => \0, standardFlowEnabled => \1, directAccessGrantsEnabled => \1,
    frontchannelLogout => /^front/ ? \1 : \0, clientAuthenticatorType => $authenticator, redirectUris => ["$site/*"],
    protocolMappers => [{ name => 'api', protocol => 'openid-connect', protocolMapper => 'oidc-audience-mapper',
        config => { 'included.custom.audience' => 'https://api.example.test', 'access.token.claim' => 'true' } }],
    attributes => { 'post.logout.redirect.uris' => "$site/*", /^front/ ? framed($_) : called($_), %$attributes },
} } @names, @framed);
my $issuer = $keycloak->issuer;

$nginx->write_file('secrets.toml', <<"END", 0600);
[auth]
redirect_uri = "$site/oauth2callback"
cookie_secret = "a cookie_secret of thirty-two bytes or more"
[auth.keycloak]
client_id = "keycloak"
client_secret = "$secret"
server_metadata_url = "$issuer/.well-known/openid-configuration"
END
sub block {
    my ($name, $client, $more) = @_;
    return "oidc_provider $name { issuer $issuer; client_id $client; " . ($client eq 'cookie' ? '' : "client_secret $secret; ") . "scope openid profile email;"
        . " redirect_uri /back_$name; logout_uri /logout_$name; post_logout_uri /bye; backchannel_logout_uri /ended_$name; cookie_name \U$name\E; logout_token_hint on; $more }\n";
}
my $app = 'auth_oidc_set_header X-Sub $oidc_claim_preferred_username; proxy_pass http://127.0.0.1:%%PORT_app%%;';
$nginx->configure(http => 'oidc_secrets %%DIR%%/secrets.toml { backchannel_logout_uri /ended_keycloak; cookie_name KEYCLOAK; }' . "\n"
        . join('', map { block($_, $_, $client{$_}[2]) } grep { $_ ne 'keycloak' } @names, @framed)
        . block('wrong', 'cookie', 'client_auth_method private_key_jwt; client_key ' . $keys->private('rs_wrong') . ';')
        . app_conf() . "server { listen 127.0.0.1:%%PORT_site%%; server_name localhost; location = /bye { return 200 bye; }\n"
        . join('', map { "location /$_ { auth_oidc $_; $app }\n" } @names, @framed, 'wrong')
        . "location /api { auth_oidc redis; auth_oidc_bearer only audience=https://api.example.test typ=jwt; $app } }\n");
$nginx->start;

sub visitor {
    my ($user, @pages) = @_;
    my $who = OIDC::Browser->new(base => $site);
    for my $page (@pages ? @pages : @names) {
        my $answer = OIDC::Keycloak::sign_in($who, "/$page", $user);
        is $answer->status, 200, "$user signs in at /$page";
        like $answer->body, qr/^sub=$user$/m, 'and the application knows who it is';
    }
    return $who;
}
sub sees { my ($who, $page) = @_; return join ' ', map { $who->get("/$page", kind => 'fetch')->status } 1 .. 4 }
my ($out, $in) = ('401 401 401 401', '200 200 200 200');

my $bob = visitor('bob');

# ---- st.login("keycloak") ----
{
    my $who = OIDC::Browser->new(base => $site);
    my $begun = $who->get('/auth/login?provider=keycloak&return_to=/keycloak%3Fx%3D1');
    my $back = OIDC::Keycloak::at_provider($who, $begun, 'alice');
    is $who->open_callback($back->location)->location, "$site/keycloak?x=1", 'a login by the name that the file gives leads to where it was asked for';
}

# ---- one application signs out at Keycloak, which tells all others ----
{
    my $alice = visitor('alice');
    my $answer = $alice->get('/logout_zone', from => "$site/zone");
    like $answer->location, qr{^\Q$issuer\E/protocol/openid-connect/logout\?}, 'signing out goes on at Keycloak';
    my $back = $alice->get($answer->location, from => $answer->url);
    like $back->location // '', qr{^\Q$site\E/bye\b}, 'with the hint it asks nothing and sends the browser back';
    is sees($alice, $_), $out, "$_: signed out in all workers" for @names;
    is sees($bob, $_), $in, "$_: another user is not" for @names;
}

# ---- the same by frames in a page of Keycloak's, to which the browser brings no cookie of ours ----
{
    my ($origin) = $issuer =~ m{^(\w+://[^/]+)};
    my ($alice, $other) = map { visitor('alice', 'zone', @framed) } 1, 2;
    my $page = $alice->get($alice->get('/logout_zone', from => "$site/zone")->location, from => "$site/zone");
    my @frames = map { OIDC::Browser::html_unescape($_) } $page->body =~ /<iframe[^>]* src="([^"]+)"/g;
    is_deeply [sort map { m{^\Q$site\E/framed_(\w+)\?(?=.*\biss=)(?=.*\bsid=)} } @frames], [sort @framed], 'the page has a frame for each client, with iss and sid';
    for my $frame (@frames) {
        my $answer = $alice->fresh->get($frame, kind => 'iframe', site => 'cross-site', from => $page->url);
        is $answer->status, 200, 'the frame is answered';
        like $answer->header('Content-Security-Policy'), qr{frame-ancestors [^;]*\Q$origin\E(?:[ ;]|$)}, 'and Keycloak may show it';
    }
    is sees($alice, $_), $out, "$_: signed out in all workers" for @framed;
    is sees($other, $_), $in, "$_: another sign-in of the same user is not" for @framed;
}

# ---- the administrator signs a user out everywhere ----
{
    my @alices = map { visitor('alice') } 1, 2;
    my ($user) = @{ $keycloak->admin('GET', '/users?username=alice&exact=true')->json };
    is $keycloak->admin('POST', "/users/$user->{id}/logout")->status, 204, 'the administrator signs alice out of all sessions';
    for my $n (0, 1) { is sees($alices[$n], $_), $out, "$_: gone, browser $n" for @names }
    is sees($bob, $_), $in, "$_: another user's goes on" for @names;
}

# ---- a key that Keycloak does not know ----
{
    my $answer = OIDC::Keycloak::sign_in(OIDC::Browser->new(base => $site), '/wrong', 'alice');
    is $answer->status, 502, 'a wrong client_key: no login';
    like $nginx->error_log, qr/provider "wrong".*(?:invalid_client|unauthorized_client)/, 'and the log says what Keycloak thinks of it';
}

# ---- access tokens ----
{
    my $token = $keycloak->tokens('demo', client_id => 'redis', client_secret => $secret, username => 'alice', password => 'wonderland', scope => 'openid')->{access_token};
    secret($token);
    my $ask = sub { my ($text) = @_; OIDC::Browser->new(base => $site)->get('/api', kind => 'fetch', headers => { Authorization => "Bearer $text" }) };
    my $answer = $ask->($token);
    is $answer->status, 200, 'an access token of Keycloak, of the type it calls JWT, opens the API';
    like $answer->body, qr/^sub=alice$/m, 'in the name of its user';
    is $ask->($token =~ s/.{4}$/AAAA/r)->status, 401, 'not when its signature is another';
    is $ask->($keycloak->tokens('demo', client_id => 'redis', client_secret => $secret, username => 'alice', password => 'wonderland', scope => 'openid')->{id_token})->status,
        401, 'an ID token does not';
    is $ask->('no-token-of-keycloak')->status, 401, 'a token that is none is asked about, and refused';
}

$keycloak->stop;
done_testing;
