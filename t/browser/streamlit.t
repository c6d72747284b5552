#!/usr/bin/perl
# The four configurations of the documentation of st.login(), read by nginx and by an unmodified Streamlit alike, with
# conf-examples/streamlit.conf between them: Chromium signs in and out, over http on loopback and over https.

use strict;
use warnings;

use JSON::PP ();
use Test::More;
use OIDC::Browser;
use OIDC::Chromium;
use OIDC::Example qw(example);
use OIDC::Nginx;
use OIDC::Real;
use OIDC::StreamlitApp;

if (my $why = OIDC::StreamlitApp::missing()) {
    plan skip_all => $why;
}

my $secret = 'a cookie_secret of thirty-two bytes or more';
my $certificates = OIDC::Real::certificates();

# `entry` makes the file from a function that gives the lines of one client.
my @cases = (
    { name => 'one without a name', entry => sub { $_[0]->('auth') }, auth => 'default', logins => '', button => 'Log in', provider => 'default' },
    { name => 'one with a name', entry => sub { "[auth.house]\n" . $_[0]->('auth.house') }, auth => 'house', logins => 'house', button => 'Log in house', provider => 'house' },
    { name => 'several, with tokens', entry => sub { qq(expose_tokens = ["id", "access"]\n[auth.house]\n) . $_[0]->() . "[auth.guest]\n" . $_[0]->() },
        auth => 'house guest', logins => 'house,guest', button => 'Log in guest', provider => 'guest', tokens => 'access,id' },
    { name => 'a prompt, with a base path, over https', entry => sub { $_[0]->() . qq(client_kwargs = { "prompt" = "login" }\n) }, auth => 'default', logins => '',
        button => 'Log in', provider => 'default', base => '/house', tls => 1 },
    { name => 'two with our sign-in page, over https', entry => sub { "[auth.google]\n" . $_[0]->() . "[auth.microsoft]\n" . $_[0]->() }, auth => 'google microsoft', logins => 'google,microsoft',
        provider => 'microsoft', choice => 'Sign in with Microsoft', more => 'oidc_provider microsoft { display_name Microsoft; }', tls => 1 },
);

for my $case (@cases) {
    my $nginx = OIDC::Nginx->new;
    my $host = $case->{tls} ? '127.0.0.1' : 'localhost';
    my $base = $case->{base} // '';
    my $site = ($case->{tls} ? 'https' : 'http') . "://$host:" . $nginx->port('site');
    my $provider = OIDC::Real->provider(redirect_uris => ["$site$base/oauth2callback"], post_logout_redirect_uris => ["$site$base/oauth2callback"],
        ($case->{tls} ? (tls => { key => "$certificates/server.key", cert => "$certificates/server.pem" }) : ()));
    my $client = $provider->client('app');
    my $issuer = $case->{tls} ? $provider->tls_issuer : $provider->issuer;
    my $file = qq([auth]\nredirect_uri = "$site$base/oauth2callback"\ncookie_secret = "$secret"\n) . $case->{entry}->(sub {
        return qq(client_id = "$client->{client_id}"\nclient_secret = "$client->{client_secret}"\nserver_metadata_url = "$issuer/.well-known/openid-configuration"\n);
    });
    my $app = OIDC::StreamlitApp->new($file, logins => $case->{logins}, base_path => $base);
    my $secrets = $nginx->write_file('secrets.toml', $file, 0600);
    my ($http) = example('streamlit',
        oidc_secrets => $nginx->dir . '/secrets.toml',
        session_revocation => 'zone=signed_out state=' . $nginx->dir . '/signed_out.state',
        auth_oidc => $case->{auth},
        listen => '127.0.0.1:%%PORT_site%%' . ($case->{tls} ? ' ssl http2' : ''),
        server_name => $host,
        proxy_pass => 'http://127.0.0.1:' . $app->port,
    ) =~ /^http \{\n(.*)^\}/ms;
    if ($case->{tls}) {
        $http =~ s/(oidc_secrets \S+ \{)/$1 ssl_trusted_certificate $certificates\/ca.pem;/;
        $http =~ s/(server_name \S+;)/$1 ssl_certificate $certificates\/server.pem; ssl_certificate_key $certificates\/server.key;/;
    }
    $http =~ s/^\s*auth_oidc_anonymous.*$//m if $case->{choice};
    $nginx->configure(http => ($case->{more} // '') . $http);
    $nginx->start;
    # Made by Streamlit's own code: the right secret, the right origin.
    my $made = OIDC::StreamlitApp::python('import sys, json; from streamlit.web.server.starlette.starlette_app_utils import create_signed_value as sign; '
        . 'print(sign(sys.argv[1], "_streamlit_user", json.dumps({"origin": sys.argv[2], "is_logged_in": True, "name": "Mallory", "email": "m", "groups": [], "provider": "default"})).decode())', $secret, $site);
    OIDC::Chromium::visit({ site => $site, issuer => $issuer, provider => $provider, nginx => $nginx, certificates => $certificates,
        more => { base => $base, button => $case->{button}, provider => $case->{provider}, choice => $case->{choice}, tokens => $case->{tokens} // '', forged => $made } }, 'streamlit');
    $nginx->stop;
    $_->stop for $app, $provider;
}

# ---- the other road: trusted headers ----
{
    my $nginx = OIDC::Nginx->new;
    my $site = 'http://localhost:' . $nginx->port('site');
    my $provider = OIDC::Real->provider(redirect_uris => ["$site/oidc_callback"]);
    my ($config, $http) = example('streamlit-trusted-headers', issuer => $provider->issuer, client_id => 'app', client_secret => $provider->client('app')->{client_secret},
        listen => '127.0.0.1:%%PORT_site%%', server_name => 'localhost', proxy_pass => 'http://127.0.0.1:%%PORT_app%%') =~ /\A(.*?)^http \{\n(.*)^\}/ms;
    my %trusted = $config =~ /^#\s+(X-\S+) = "(\w+)"$/mg;
    my $app = OIDC::StreamlitApp->new('', flags => ['--server.trustedUserHeaders', JSON::PP->new->canonical->encode(\%trusted)]);
    my $port = $app->port;
    $http =~ s/%%PORT_app%%/$port/;
    $nginx->configure(http => $http);
    $nginx->start;
    OIDC::Chromium::visit({ site => $site, issuer => $provider->issuer, provider => $provider, nginx => $nginx, certificates => $certificates }, 'streamlit_headers');
    $nginx->stop;
    $_->stop for $app, $provider;
}

done_testing;
