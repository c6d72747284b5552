#!/usr/bin/perl
# The examples that are whole sites, each run: only addresses, names and clients are put in.

use strict;
use warnings;

use Test::More;
use OIDC::Browser;
use OIDC::Example qw(example);
use OIDC::Nginx;
use OIDC::Real;
use OIDC::StreamlitApp;

my $nginx = OIDC::Nginx->new;
my $site = 'http://localhost:' . $nginx->port('site');
my $provider = OIDC::Real->provider(redirect_uris => ["$site/oidc_callback"], post_logout_redirect_uris => ["$site/logout"]);
my $app = OIDC::Real->app;
my $client = $provider->client('app');

sub visitor { return OIDC::Browser->new(base => $site) }

# Inside of http { }, with the values of this machine.
sub run_example {
    my ($name, %more) = @_;
    my $text = example($name, issuer => $provider->issuer, client_id => $client->{client_id}, client_secret => $client->{client_secret},
        listen => '127.0.0.1:%%PORT_site%%', server_name => 'localhost', %more);
    my ($http) = $text =~ /^http \{\n(.*)^\}/ms or die "no http block\n";
    $nginx->configure(http => $http);
    ok $nginx->master_pid ? $nginx->reload : $nginx->start, "$name.conf: nginx takes it";
    return;
}
my $behind = 'http://127.0.0.1:' . $app->port;

subtest 'several-providers.conf' => sub {
    run_example('several-providers', proxy_pass => $behind);
    my $visitor = visitor();
    my $page = $visitor->get('/page');
    is $page->status, 401, 'a stranger';
    like $page->body, qr{href="/oidc_login\?provider=google&amp;return_to=%2Fpage">Sign in with Google<}, 'may choose this one';
    like $page->body, qr{href="/oidc_login\?provider=microsoft&amp;return_to=%2Fpage">Sign in with Microsoft<}, 'or that one';
    my $seen = OIDC::Real::sign_in($visitor, '/oidc_login?provider=microsoft&return_to=/headers', user => 'carol')->json;
    is "$seen->{'x-user'} $seen->{'x-provider'}", 'carol microsoft', 'and the application knows who came, and from where';
};

subtest 'optional-login.conf' => sub {
    run_example('optional-login', proxy_pass => $behind);
    my $visitor = visitor();
    is $visitor->get('/headers', headers => { 'X-User' => 'mallory' })->json->{'x-user'}, undef, 'a stranger passes, as nobody';
    is $visitor->get('/account/')->status, 302, 'but not to an account';
    ok !$visitor->get('/me', kind => 'fetch')->json->{is_logged_in}, 'scripts know it';
    is OIDC::Real::sign_in($visitor, '/oidc_login?return_to=/headers', user => 'carol')->json->{'x-user'}, 'carol', 'after the sign-in the application knows who came';
    is $visitor->get('/account/')->status, 200, 'the account is open';
    is $visitor->get('/me', kind => 'fetch')->json->{user}{sub}, 'carol', 'and scripts know that';
};

subtest 'static-site.conf' => sub {
    run_example('static-site', root => $nginx->dir . '/docs');
    for my $folder ('', '/public') {
        mkdir $nginx->dir . "/docs$folder";
        chmod 0755, $nginx->dir . "/docs$folder";
        $nginx->write_file("docs$folder/page.html", "a file\n");
    }
    chmod 0755, $nginx->dir;
    my $visitor = visitor();
    is $visitor->get('/page.html')->status, 302, 'a stranger is sent to sign in';
    is $visitor->get('/public/page.html')->body, "a file\n", 'but sees what is public';
    is OIDC::Real::sign_in($visitor, '/page.html')->body, "a file\n", 'who has signed in sees all';
    ok $visitor->get('/me', kind => 'fetch')->json->{is_logged_in}, 'and scripts know who it is';
};

subtest 'websocket.conf' => sub {
    run_example('websocket', proxy_pass => $behind);
    my $visitor = visitor();
    is $visitor->get('/ws', kind => 'websocket')->status, 401, 'a handshake without a session';
    is OIDC::Real::sign_in($visitor, '/headers')->json->{'x-user'}, 'alice', 'signed in';
    my $cookie = join '; ', map { "$_->{name}=$_->{value}" } $visitor->cookies->all;
    my $answer = $visitor->raw("GET /ws HTTP/1.1\r\nHost: localhost:" . $nginx->port('site') . "\r\nConnection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\n"
        . "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nCookie: $cookie\r\n\r\n\x88\x80\0\0\0\0");
    is $answer->status, 101, 'passes with one';
};

SKIP: {
    my $why = OIDC::StreamlitApp::missing();
    skip $why, 1 if $why;
    subtest 'streamlit-trusted-headers.conf' => sub {
        my $streamlit = OIDC::StreamlitApp->new('', flags => ['--server.trustedUserHeaders', '{"X-Oidc-Logged-In":"is_logged_in","X-Oidc-Name":"name","X-Oidc-Email":"email"}']);
        run_example('streamlit-trusted-headers', proxy_pass => 'http://127.0.0.1:' . $streamlit->port);
        my $visitor = visitor();
        is $visitor->get('/')->status, 302, 'nobody sees the application without a sign-in';
        is OIDC::Real::sign_in($visitor, '/')->status, 200, 'which is there afterwards';
        $streamlit->stop;
    };
}

$nginx->stop;
done_testing;
