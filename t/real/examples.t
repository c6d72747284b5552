#!/usr/bin/perl
# The configurations that people copy, as they stand in conf-examples and the README: nginx takes them, and they sign in.

use strict;
use warnings;

use Test::More;
use OIDC::Browser;
use OIDC::Example qw(example fill readme_example);
use OIDC::Nginx;
use OIDC::Real;

my $nginx = OIDC::Nginx->new;
my $site = 'http://localhost:' . $nginx->port('site');
my $provider = OIDC::Real->provider(redirect_uris => [map { "$site$_" } qw(/oidc_callback /oauth2/callback /redirect_uri)], post_logout_redirect_uris => ["$site/logout"]);
my $app = OIDC::Real->app;
my $client = $provider->client('app');

# Only addresses and the client change: nothing is added that a reader would not know of.
my %here = (
    issuer => $provider->issuer,
    client_id => $client->{client_id},
    client_secret => $client->{client_secret},
    listen => '127.0.0.1:%%PORT_site%%',
    server_name => 'localhost',
    proxy_pass => 'http://127.0.0.1:' . $app->port,
);
# From where others stood: the certified provider, the application, and the URIs that were registered for the former software.
my @moved = qw(from-nginx-plus from-oauth2-proxy from-lua-resty-openidc);
my %inside = (
    (map { ("conf-examples/$_.conf" => example($_, %here) =~ /^http \{\n(.*)^\}/ms ? $1 : die("no http block\n")) } 'minimal', @moved),
    'README.md' => readme_example(%here),
);

for my $name (sort keys %inside) {
    $nginx->configure(http => $inside{$name});
    ok $nginx->master_pid ? $nginx->reload : $nginx->start, "$name: nginx takes it";
    my $page = OIDC::Real::sign_in(OIDC::Browser->new(base => $site), '/some/page', user => 'carol');
    is $page->status, 200, "$name: signed in" or diag $page->body;
    is $page->url, "$site/some/page", "$name: at the page asked for";
    like $page->body, qr/Hello, carol/, "$name: and the application knows who came";
}

# The secrets.toml that the documentation of Streamlit shows.
my $secrets = $nginx->write_file('secrets.toml', <<'END', 0600);
[auth]
redirect_uri = "http://localhost:8501/oauth2callback"
cookie_secret = "a secret of at least thirty-two characters"
client_id = "my-app"
client_secret = "my-secret"
server_metadata_url = "https://accounts.google.com/.well-known/openid-configuration"
END

# As files stand: the whole of each, with its own values.
for my $file (glob "$OIDC::Nginx::CHECKOUT/conf-examples/*.conf") {
    my $dir = $nginx->dir;
    my $text = fill(OIDC::Nginx::slurp($file), load_module => OIDC::Nginx::module_file());
    $text = fill($text, oidc_secrets => $secrets) if $text =~ /^\s*oidc_secrets /m;
    my $path = $nginx->write_file('example.conf', "pid $dir/example.pid;\n" . $text =~ s/^http \{/http { access_log off;/mr);
    my $said = join "\n", do { my $binary = OIDC::Nginx::nginx_binary(); scalar `$binary -t -p $dir -c $path -e stderr 2>&1` };
    like $said, qr/test is successful/, "$file is taken by nginx -t as it stands";
    unlike $said, qr/\[warn\]/, "$file: without a warning";
}

$nginx->stop;
done_testing;
