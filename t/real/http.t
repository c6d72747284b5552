#!/usr/bin/perl
# Signing in at a certified provider over plain http on loopback, with every way to authenticate and every signature.

use strict;
use warnings;

use Test::More;
use OIDC::Browser;
use OIDC::Nginx;
use OIDC::Real;

my @algorithms = ((map { ("RS$_", "PS$_", "ES$_") } 256, 384, 512), 'EdDSA');
my @clients = ('app', 'app-post', 'app-public', map { "app-$_" } @algorithms);

my $nginx = OIDC::Nginx->new;
# Provider and site are different sites to a browser, as they are in the field.
my $site = 'http://localhost:' . $nginx->port('site');
my $provider = OIDC::Real->provider(redirect_uris => ["$site/oidc_callback"], post_logout_redirect_uris => ["$site/bye"], conform => 1);
my $app = OIDC::Real->app;

my %more = ('app-post' => 'client_auth_method client_secret_post;');
my $providers = join "\n", map {
    my $name = s/-/_/gr;
    "oidc_provider $name { " . $provider->directives($_) . " scope openid profile email; userinfo on;"
        . " id_token_signing_algs " . (/^app-([RPE].*\d|EdDSA)$/ ? $1 : 'RS256') . ";"
        . " logout_uri /logout_$name; post_logout_uri /bye; " . ($more{$_} // '') . " }"
} @clients;
my $locations = join "\n", map {
    my $name = s/-/_/gr;
    "location /$name/ { auth_oidc $name; proxy_pass http://127.0.0.1:" . $app->port . "/headers;"
        . ' proxy_set_header X-User $oidc_claim_sub; proxy_set_header X-User-Email $oidc_claim_email;'
        . ' proxy_set_header X-User-Groups $oidc_claim_groups; }'
} @clients;
$nginx->configure(http => "$providers\nserver { listen 127.0.0.1:%%PORT_site%%; server_name localhost;\n$locations\n}");
$nginx->start;

for my $client (@clients) {
    my $path = '/' . ($client =~ s/-/_/gr) . '/';
    my $browser = OIDC::Browser->new(base => $site);
    my $page = OIDC::Real::sign_in($browser, "$path?a=b%20c", user => 'bob');
    is $page->status, 200, "$client: the page asked for" or diag $page->body;
    my $seen = eval { $page->json } || {};
    is $seen->{'x-user'}, 'bob', "$client: sub";
    is $seen->{'x-user-email'}, 'bob@example.test', "$client: a claim that only UserInfo has";
    is $seen->{'x-user-groups'}, 'staff,readers', "$client: an array of UserInfo";
    is $seen->{cookie}, undef, "$client: no cookie of ours reaches the application";
    is $browser->get($path)->status, 200, "$client: the session stays";
}

subtest 'the user says no at the provider' => sub {
    my $browser = OIDC::Browser->new(base => $site);
    my $answer = OIDC::Real::sign_in($browser, '/app/', cancel => 1);
    is $answer->status, 403, 'refused with a page';
    like $answer->header('Content-Type'), qr{^text/html}, 'HTML';
    is $browser->get('/app/')->status, 302, 'and nobody is signed in';
};

subtest 'signing out, here and at the provider' => sub {
    my $browser = OIDC::Browser->new(base => $site);
    my $page = OIDC::Real::sign_in($browser, '/app/');
    is $page->status, 200, 'signed in';
    my $out = $browser->get('/logout_app', from => $page->url);
    is $out->status, 302, 'sent to the provider';
    like $out->location, qr{^\Q@{[ $provider->issuer ]}\E/session/end\?}, 'to its end_session_endpoint';
    is $out->query->{client_id}, 'app', 'with our client_id';
    is $out->query->{post_logout_redirect_uri}, "$site/bye", 'and the way back';
    my $asked = $browser->get($out->location, from => $out->url);
    is $asked->status, 200, 'the provider asks';
    my $back = $browser->submit($asked);
    is $browser->resolve($back->location, $back->url) =~ s/\?.*//r, "$site/bye", 'and sends the browser back';
    is $browser->get('/app/')->status, 302, 'the session is gone here';
    my $again = $browser->get($browser->get('/app/')->location, from => "$site/app/");
    like $browser->resolve($again->location // '', $again->url), qr{/interaction/}, 'and at the provider';
};

$nginx->stop;
done_testing;
