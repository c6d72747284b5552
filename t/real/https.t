#!/usr/bin/perl
# The same over https, with a CA that only the configuration knows.

use strict;
use warnings;

use Test::More;
use OIDC::Browser;
use OIDC::Nginx;
use OIDC::Real;

my $certificates = OIDC::Real::certificates();
my $nginx = OIDC::Nginx->new;
my $site = 'https://127.0.0.1:' . $nginx->port('site');
my $provider = OIDC::Real->provider(redirect_uris => ["$site/oidc_callback"],
    tls => { key => "$certificates/server.key", cert => "$certificates/server.pem" });
my $app = OIDC::Real->app;

my $directives = $provider->directives('app', tls => 1);
my $upstream = 'proxy_pass http://127.0.0.1:' . $app->port . '/headers; proxy_set_header X-User $oidc_claim_sub;';
$nginx->configure(http => <<"END");
oidc_provider trusted { $directives ssl_trusted_certificate $certificates/ca.pem; }
oidc_provider stranger { $directives }
server {
    listen 127.0.0.1:%%PORT_site%% ssl http2;
    server_name 127.0.0.1;
    ssl_certificate $certificates/server.pem;
    ssl_certificate_key $certificates/server.key;
    location / { auth_oidc trusted; $upstream }
    location /stranger/ { auth_oidc stranger; $upstream }
}
END
$nginx->start;

my $browser = OIDC::Browser->new(base => $site, ca => "$certificates/ca.pem");
my $page = OIDC::Real::sign_in($browser, '/here?x=1');
is $page->status, 200, 'signed in' or diag $page->body;
is $page->json->{'x-user'}, 'alice', 'sub';
is $page->url, "$site/here?x=1", 'at the page asked for';

subtest 'cookies over https' => sub {
    my $fresh = $browser->fresh;
    my $begun = $fresh->get('/');
    my ($ticket) = $begun->set_cookies;
    like $ticket->{name}, qr/^__Host-/, 'the ticket is bound to the host';
    ok $ticket->{secure} && $ticket->{httponly}, 'Secure and HttpOnly';
    my $back = OIDC::Real::at_provider($fresh, $begun);
    my $session = $fresh->open_callback($back->location)->cookie(qr/^NGX_OIDC_SESSION/);
    ok $session->{secure} && $session->{httponly}, 'so is the session';
    is $session->{samesite}, 'Lax', 'SameSite';
    is $session->{path}, '/', 'Path';
};

subtest 'a provider whose certificate nobody here knows' => sub {
    my $answer = $browser->fresh->get('/stranger/');
    is $answer->status, 503, 'no sign-in, and nobody let in';
    ok $answer->header('Retry-After'), 'come back later';
    $nginx->log_like(qr/\[error\].*stranger.*certificate/, 'the log names the provider and the certificate');
};

$nginx->stop;
done_testing;
