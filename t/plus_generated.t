# A configuration in the shape that NGINX Ingress Controller writes for NGINX Plus, with every directive it uses: it loads and works as it is.

use strict;
use warnings;

use FindBin;
use lib "$FindBin::Bin/lib";

use OIDC::Test;

my $op = OIDC::Provider->new(base_path => '/realms/demo');
my ($issuer, $ca, $secret) = ($op->issuer, $op->ca, quoted($op->client_secret));
my $name = 'default_oidc-policy_cafe';
my $list = OIDC::Provider::Keys->new($op->dir)->revocation_list;

my (undef, undef, $browser) = site(op => $op, conf => $op->tls_front . app_conf() . <<"END");
keyval_zone zone=oidc_sessions_$name:10m timeout=4h sync;
oidc_provider $name {
    issuer $issuer;
    client_id @{[$op->client_id]};
    client_secret $secret;
    config_url $issuer/.well-known/openid-configuration;
    cookie_name NGX_OIDC_$name;
    extra_auth_args "display=page&ui_locales=en";
    frontchannel_logout_uri /front_channel_logout;
    pkce on;
    redirect_uri /oidc_callback_$name;
    logout_uri /logout;
    post_logout_uri /_logged_out;
    logout_token_hint on;
    scope openid profile email;
    session_store oidc_sessions_$name;
    session_timeout 4h;
    ssl_crl $list;
    ssl_trusted_certificate $ca;
    userinfo on;
    proxy_location /_oidc_idp_$name;
}
upstream vs_default_cafe_coffee {
    zone vs_default_cafe_coffee 256k;
    server 127.0.0.1:%%PORT_app%% max_fails=1 fail_timeout=10s;
}
resolver 127.0.0.1 valid=30s;
server {
    listen 127.0.0.1:%%PORT_site%%;
    server_name localhost;
    auth_oidc $name;
    location = /_oidc_idp_$name {
        auth_oidc off;
        proxy_pass \$oidc_idp_request_uri;
        proxy_ssl_server_name on;
        proxy_ssl_name localhost;
        proxy_set_header Host \$proxy_host;
        proxy_set_header X-Way location;
        proxy_ssl_verify on;
        proxy_ssl_verify_depth 1;
        proxy_ssl_trusted_certificate $ca;
        proxy_buffer_size 32k;
        proxy_buffers 8 32k;
        proxy_busy_buffers_size 64k;
        subrequest_output_buffer_size 64k;
        client_max_body_size 0;
    }
    location = /_logged_out {
        auth_oidc off;
        default_type text/plain;
        return 200 "You have been logged out.\\n";
    }
    location /coffee {
        auth_oidc $name;
        proxy_set_header X-Sub "\$oidc_claim_sub";
        proxy_set_header Host "\$host";
        proxy_pass http://vs_default_cafe_coffee;
    }
}
END

my $begun = $browser->begin('/coffee?size=1');
is_deeply [@{ $begun->query }{qw(scope display redirect_uri code_challenge_method)}],
    ['openid profile email', 'page', $browser->resolve("/oidc_callback_$name"), 'S256'], 'what the browser takes to the provider';
my $page = $browser->login('/coffee?size=1');
is $page->status, 200, 'signed in';
like $page->body, qr{GET /coffee\?size=1\nsub=alice}, 'the application knows who it is';
is_deeply [map { $_->{endpoint} . ' ' . ($_->{headers}{'x-way'} // 'direct') } grep { $_->{endpoint} ne 'authorize' } $op->journal],
    [map { "$_ location" } qw(discovery token jwks userinfo)], 'each call went through the location';
ok $browser->cookies->find("NGX_OIDC_$name"), 'the session cookie has its documented name';

my $out = $browser->get('/logout');
is $out->query->{post_logout_redirect_uri}, $browser->resolve('/_logged_out'), 'signing out names the way back';
ok length $out->query->{id_token_hint}, 'with the hint';
my $ended = $browser->get($browser->resolve($browser->get($out->location, from => $out->url)->location));
is $ended->body, "You have been logged out.\n", 'which is a page of the site';
is $browser->get('/coffee')->status, 302, 'and the session is gone';

done_testing;
