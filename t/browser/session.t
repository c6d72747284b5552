#!/usr/bin/perl
# Session Management in Chromium: a page of the site embeds our frame, which notices that the user has signed out at the provider.

use strict;
use warnings;

use JSON::PP ();
use OIDC::Nginx;
use OIDC::Provider;
use Test::More;

my $op = OIDC::Provider->new(tls => 0, check_session => 1);
my $nginx = OIDC::Nginx->new;
my $site = 'http://localhost:' . $nginx->port('site');
$nginx->configure(http => <<"END");
oidc_provider my_idp { issuer @{[$op->issuer]}; client_id @{[$op->client_id]}; client_secret "@{[$op->client_secret]}"; session_uri /session; logout_uri /logout; }
server {
    listen 127.0.0.1:%%PORT_site%%;
    server_name localhost;
    default_type text/html;
    location / {
        auth_oidc my_idp;
        try_files /none \@page;
    }
    location \@page {
        add_header Content-Security-Policy "frame-src 'self'";
        return 200 '<!DOCTYPE html><title>App</title><p>Hello</p>
            <script>window.told = []; addEventListener("message", (e) => told.push(e.data.auth_oidc));</script>
            <iframe src="/session?frame"></iframe>';
    }
}
END
$nginx->start;
my $settings = JSON::PP->new->utf8->canonical->encode({ site => $site, issuer => $op->issuer });
open my $lines, '-|', 'node', "$OIDC::Nginx::CHECKOUT/t/browser/session.mjs", $settings or die "node: $!\n";
while (defined(my $line = readline $lines)) {
    my ($not, $what, $detail) = $line =~ /^(not )?ok - (.*?)(?: # (.*))?$/ or next;
    ok !$not, $what or diag $detail // '';
}
close $lines;
is $?, 0, 'session.mjs came to its end';
like $nginx->error_log, qr/signed out, the session at provider "my_idp" changed/, 'the log says who ended the session';
is_deeply [$op->refused], [], 'the provider found nothing wrong';
$nginx->stop;
$op->stop;
done_testing;
