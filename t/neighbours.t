# Beside other modules: nothing of nginx turns the check off, nothing of ours gets in the way of others, and no cookie of
# ours ever reaches an upstream while the rest of the line stays as it came, byte for byte.

use strict;
use warnings;

use FindBin;
use lib "$FindBin::Bin/lib";

use OIDC::Echo;
use OIDC::Test;

my $echo_port = OIDC::Nginx::free_port();
# Before the provider, or it would hold a copy of the provider's control socket.
my $echo = OIDC::Echo->start($echo_port);
my $op = OIDC::Provider->new(tls => 0);
my $proxy = "proxy_set_header Connection \$http_connection; proxy_set_header Upgrade \$http_upgrade; proxy_http_version 1.1; proxy_pass http://127.0.0.1:$echo_port;";
# Plain, for AddressSanitizer's stand-in for crypt_r finds no libcrypt behind it.
my $password = 'user:{PLAIN}password';
my $conf = provider_conf($op) . <<"END";
limit_req_zone \$binary_remote_addr zone=few:1m rate=1r/m;
limit_req_zone \$server_name zone=callbacks:1m rate=1r/m;
server {
    listen 127.0.0.1:%%PORT_site%%;
    listen 127.0.0.1:%%PORT_h2%% http2;
    server_name localhost;
    error_page 418 = \@teapot;
    if (\$arg_blocked) { return 403; }
    location / { return 404; }
    location /any_deny { satisfy any; deny all; auth_oidc my_idp; $proxy }
    location /any_allow { satisfy any; allow 127.0.0.1; deny all; auth_oidc my_idp; $proxy }
    location /any_stranger { satisfy any; deny all; auth_oidc my_idp; auth_oidc_anonymous allow; $proxy }
    location /all_deny { satisfy all; deny all; auth_oidc my_idp; $proxy }
    location /all_allow { satisfy all; allow 127.0.0.1; deny all; auth_oidc my_idp; $proxy }
    location /basic_any { satisfy any; auth_basic closed; auth_basic_user_file %%DIR%%/passwd; auth_oidc my_idp; $proxy }
    location /basic_all { auth_basic closed; auth_basic_user_file %%DIR%%/passwd; auth_oidc my_idp; $proxy }
    location /request { auth_oidc my_idp; auth_request /check; auth_request_set \$checked \$upstream_status; proxy_set_header X-Checked \$checked; $proxy }
    location /request_refuses { auth_oidc my_idp; auth_request /status/403; $proxy }
    location = /check { internal; auth_oidc off; proxy_pass_request_body off; proxy_set_header X-User \$oidc_claim_sub; $proxy }
    location /status/ { auth_oidc off; $proxy }
    location /limited { limit_req zone=few burst=1 nodelay; auth_oidc my_idp; $proxy }
    location /try { auth_oidc my_idp; try_files /missing \@named; }
    location /try_open { auth_oidc off; try_files /missing /any_deny; }
    location \@named { auth_oidc off; proxy_set_header X-User \$oidc_claim_sub; $proxy }
    location /to_closed { auth_oidc off; rewrite ^ /closed/here last; }
    location /to_open { auth_oidc my_idp; rewrite ^ /opened last; }
    location /opened { auth_oidc off; $proxy }
    location /closed { auth_oidc my_idp; $proxy }
    location /missing_page { auth_oidc my_idp; error_page 404 = \@named; proxy_intercept_errors on; rewrite ^ /status/404 break; $proxy }
    location /error_closed { auth_oidc off; error_page 403 = /closed/error; deny all; }
    location /accel { auth_oidc my_idp; $proxy }
    location /accel_open { auth_oidc off; rewrite ^/accel_open(.*) /accel\$1 break; $proxy }
    location /inside_closed { internal; auth_oidc my_idp; $proxy }
    location /inside_open { internal; auth_oidc off; proxy_set_header X-User \$oidc_claim_sub; $proxy }
    location /page { auth_oidc my_idp; ssi on; $proxy }
    location /page_open { auth_oidc off; ssi on; $proxy }
    location /ssi_part { auth_oidc my_idp; proxy_set_header X-User \$oidc_claim_sub; $proxy }
    location /ssi_open { auth_oidc off; proxy_set_header X-User "open:\$oidc_claim_sub"; $proxy }
    location /mirrored { auth_oidc my_idp; mirror /mirror; $proxy }
    location = /mirror { internal; auth_oidc off; $proxy }
    location \@teapot { auth_oidc off; $proxy }
    location /led_to_login { auth_oidc off; error_page 404 = /oidc_login; return 404; }
    location /led_to_callback { auth_oidc off; error_page 404 = /oidc_callback?code=x&state=y; return 404; }
    location /seen { auth_oidc off; add_header X-Seen "[\$http_cookie]" always; $proxy }
    location /page_of_login { auth_oidc off; ssi on; ssi_types *; root %%DIR%%; }
    location /teapot { auth_oidc off; return 418; }
    location /off { auth_oidc off; $proxy }
    location /allowed { auth_oidc my_idp; auth_oidc_anonymous allow; proxy_set_header X-User "\$oidc_claim_sub,\$oidc_is_logged_in"; $proxy }
}
server {
    listen 127.0.0.1:%%PORT_site%%;
    server_name limits.localhost;
    limit_req zone=callbacks;
    deny all;
    auth_basic closed; auth_basic_user_file %%DIR%%/passwd;
    auth_oidc my_idp;
    location / { satisfy any; limit_req zone=few burst=100 nodelay; $proxy }
}
END
my $ngx = OIDC::Nginx->new(http => $conf);
$ngx->write_file('passwd', "$password\n");
$ngx->start;
my $browser = browser($ngx, $op);
my $basic = { Authorization => 'Basic dXNlcjpwYXNzd29yZA==' };
my $provider = qr/^\Q@{[$op->issuer]}\E\/authorize/;

sub cookies_in { my ($answer) = @_; return [$answer->body =~ /^Cookie: (.*?)\r$/mgi] }
sub sent_away { my ($answer, $name) = @_; like $answer->location // $answer->status, $provider, $name }

my $who = $browser->fresh;
$who->login('/closed');
my $sid = $who->cookies->find('NGX_OIDC_SESSION')->{value};
# Ours among others, with every oddity that a line may have.
my $line = qq(a=1; NGX_OIDC_SESSION=$sid;b=2;  c="x, y" ; NGX_OIDC_LOGIN_abc=1; __Host-NGX_OIDC_LOGIN_abc=2; NGX_OIDC_LOOP=3; __Host-NGX_OIDC_LOGOUT=4;d; =e; f==; NGX_OIDC_SESSION2=5);
my $rest = qq(a=1;b=2;  c="x, y" ;d; =e; f==; NGX_OIDC_SESSION2=5);

# ---- who gets in ----

my @rows = (
    # path, stranger (302: to the provider), signed in, extra headers
    ['/any_deny', 302, 200], ['/any_allow', 200, 200], ['/any_stranger', 403, 200], ['/all_deny', 403, 403], ['/all_allow', 302, 200],
    ['/basic_any', 302, 200], ['/basic_any', 200, 200, $basic], ['/basic_all', 401, 401], ['/basic_all', 302, 200, $basic],
    ['/request', 302, 200], ['/request_refuses', 403, 403], ['/try', 302, 200], ['/try_open', 302, 200], ['/to_closed', 302, 200], ['/to_open', 200, 200],
    ['/missing_page', 302, 404], ['/error_closed', 302, 200], ['/accel/inside_open', 302, 200], ['/accel/inside_closed', 302, 200], ['/accel_open/inside_closed', 302, 200],
    ['/accel_open/inside_open', 200, 200], ['/page.shtml', 302, 200], ['/page_open.shtml', 200, 200], ['/mirrored', 302, 200], ['/teapot', 200, 200], ['/off', 200, 200],
    ['/allowed', 200, 200], ['/closed?blocked=1', 403, 403], ['/none', 404, 404],
);
for my $row (@rows) {
    my ($path, $stranger, $known, $headers) = @$row;
    my $name = $headers ? "$path with a password" : $path;
    my $answer = $browser->fresh->get($path, headers => $headers || {});
    is $answer->status, $stranger, "$name: a stranger";
    sent_away $answer, "$name: to the provider" if $stranger == 302;
    is $answer->header('WWW-Authenticate'), undef, "$name: no password box over the redirect" if $stranger == 302;
    $answer = $who->get($path, cookies => $line, headers => $headers || {});
    is $answer->status, $known, "$name: signed in";
    unlike $answer->body, qr/NGX_OIDC_(?:LOGIN|LOOP|LOGOUT)|\Q$sid\E/, "$name: no cookie of ours at the upstream";
    next if $known != 200 || $path =~ /shtml/;
    is_deeply cookies_in($answer), [$rest], "$name: the rest byte for byte";
}

# ---- what they see of it ----

like $who->get('/request')->body, qr/^X-Checked: 200\r$/m, 'auth_request is asked';
like $who->get('/try')->body, qr/^X-User: alice\r$/m, 'after try_files the variables show the session, off or not';
like $who->get('/accel/inside_open')->body, qr/^X-User: alice\r$/m, 'after X-Accel-Redirect too';
unlike $browser->fresh->get('/accel_open/inside_open')->body, qr/^X-User/m, 'and nothing without one';
like $who->get('/allowed')->body, qr/^X-User: alice,1\r$/m, 'allow: somebody';
like $browser->fresh->get('/allowed')->body, qr/^X-User: ,\r$/m, 'allow: nobody';
{
    my $page = $who->get('/page.shtml');
    is scalar(() = $page->body =~ /^X-User: alice\r$/mg), 1, 'SSI: the part of a protected location shows the session';
    like $page->body, qr/^X-User: open:alice\r$/m, 'SSI: the open part too';
    unlike $page->body, qr/NGX_OIDC/, 'SSI: no cookie of ours';
}

# ---- our own addresses are for browsers ----

for my $path ('/led_to_login', '/led_to_callback') {
    my $answer = $browser->fresh->get($path);
    is $answer->status, 404, "$path: an internal redirect is no call of an endpoint";
    is_deeply [$answer->set_cookies], [], "$path: and begins no login";
}
$ngx->write_file('page_of_login', qq(<!--#include virtual="/oidc_login?provider=my_idp" -->));
{
    my $answer = $browser->fresh->get('/page_of_login');
    is $answer->status, 200, 'a page with our login as a part';
    is_deeply [$answer->set_cookies], [], 'begins no login';
}

# ---- cookie lines ----

for my $case (['only ours', "NGX_OIDC_SESSION=$sid", []], ['ours first', "NGX_OIDC_SESSION=$sid; a=1", ['a=1']], ['ours last', "a=1; NGX_OIDC_SESSION=$sid", ['a=1']],
    ['twice', "NGX_OIDC_SESSION=$sid; a=1; NGX_OIDC_SESSION=$sid", ['a=1']], ['blanks around', "  NGX_OIDC_SESSION=$sid ;\ta=1", ['a=1']],
    ['names like ours', "NGX_OIDC_SESSION=$sid; xNGX_OIDC_SESSION=1; NGX_OIDC_SESSION_x=2; ngx_oidc_session=3", ['xNGX_OIDC_SESSION=1; NGX_OIDC_SESSION_x=2; ngx_oidc_session=3']],
    ['no cookie of ours', 'a=1;;  b', ['a=1;;  b']]) {
    my ($name, $text, $expected) = @$case;
    is_deeply cookies_in($browser->fresh->get('/off', cookies => $text)), $expected, "$name: " . ($expected->[0] // 'no line at all');
}
{
    my $answer = $browser->fresh->get('/off', cookies => 0, headers => { Cookie => ["a=1; NGX_OIDC_LOOP=1", "NGX_OIDC_SESSION=$sid", 'b=2', "c=3; NGX_OIDC_SESSION=$sid"] });
    is_deeply cookies_in($answer), ['a=1', 'b=2', 'c=3'], 'several lines: each keeps its own';
    like $answer->body, qr/^User-Agent: Mozilla/m, 'and the other headers are there';
    $answer = $browser->fresh->get('/seen', cookies => 0, headers => { Cookie => ["NGX_OIDC_SESSION=$sid", 'a=1', "NGX_OIDC_SESSION=$sid", 'b=2', 'NGX_OIDC_LOOP=1'] });
    is $answer->header('X-Seen'), '[a=1; b=2]', '$http_cookie too has nothing of them, not even a gap';
    my @many = map { ("X-$_: $_") } 1 .. 40;
    my ($raw) = raw_request('/off', @many[0 .. 19], "Cookie: NGX_OIDC_SESSION=$sid", @many[20 .. 39]);
    is scalar(() = $raw->body =~ /^X-\d+: \d+\r$/mg), 40, 'a line that goes takes no other header with it';
}
sub raw_request { my ($path, @lines) = @_; return $browser->raw(join("\r\n", "GET $path HTTP/1.1", 'Host: localhost', @lines, 'Connection: close', '', '')) }

# ---- limits ----

{
    is_deeply [map { $who->get('/limited')->status } 1 .. 3], [200, 200, 503], 'limit_req limits';
    my $answer = $browser->fresh->get('/limited');
    is $answer->status, 503, 'before anybody is sent to sign in';
}
{
    my $limits = OIDC::Browser->new(base => $browser->{base} =~ s/localhost/limits.localhost/r);
    is $limits->login('/x', until => 'callback')->location, "$limits->{base}/x", 'deny, auth_basic and limit_req of a server do not reach the callback';
    is $limits->get('/x')->status, 200, 'signed in';
}

# ---- HTTP/2 ----

{
    my $h2 = 'http://localhost:' . $ngx->port('h2');
    my @h2 = ('--http2-prior-knowledge', '-H', 'Accept: text/html');
    my $answer = curl(@h2, "$h2/closed?x=1");
    is $answer->http_version, '2', 'HTTP/2';
    sent_away $answer, 'HTTP/2: a stranger';
    my ($ticket) = $answer->headers_all('Set-Cookie');
    my $code = $browser->fresh->get($answer->location)->location;
    my $done = curl(@h2, '-H', 'Cookie: ' . ($ticket =~ s/;.*//r), $code);
    is $done->location, "$h2/closed?x=1", 'HTTP/2: the callback';
    my ($mine) = grep { /^NGX_OIDC_SESSION=/ } $done->headers_all('Set-Cookie');
    secret($mine =~ /=([^;]*)/);
    my $page = curl(@h2, '-H', 'Cookie: a=1', '-H', 'Cookie: ' . ($mine =~ s/;.*//r), '-H', 'Cookie: b=2', "$h2/closed");
    is $page->status, 200, 'HTTP/2: signed in';
    is join('; ', @{ cookies_in($page) }), 'a=1; b=2', 'HTTP/2: the other cookies, and none of ours';
    is curl(@h2, "$h2/none")->status, 404, 'HTTP/2: another page';
}

# ---- WebSocket ----

{
    my $upgrade = "GET /closed HTTP/1.1\r\nHost: localhost\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n";
    my ($answer) = $browser->raw("$upgrade\r\n", count => 1);
    is $answer->status, 401, 'an upgrade without a session: 401';
    my $socket = IO::Socket::INET->new(PeerAddr => '127.0.0.1', PeerPort => $ngx->port('site'), Proto => 'tcp');
    syswrite $socket, "${upgrade}Cookie: $line\r\n\r\n";
    my $got = '';
    1 while $got !~ /\r\n\r\n.*\r\n\r\n/s && sysread $socket, $got, 4096, length $got;
    like $got, qr/^HTTP\/1.1 101 /, 'with one: 101';
    like $got, qr/^Cookie: \Q$rest\E\r$/m, 'its cookies, byte for byte';
    unlike $got, qr/\Q$sid\E/, 'and none of ours';
    syswrite $socket, 'ping';
    my $back = '';
    sysread $socket, $back, 4;
    is $back, 'ping', 'and the connection is open';
    close $socket;
}

# ---- no header, method or query turns the check off ----

for my $case (['HEAD', 'HEAD', {}], ['TRACE', 'TRACE', {}], ['PROPFIND', 'PROPFIND', { kind => 'none' }], ['an unknown method', 'BREW', { kind => 'none' }], ['X-Original-URI', 'GET', { headers => { 'X-Original-URI' => '/off' } }],
    ['X-Accel-Redirect of a client', 'GET', { headers => { 'X-Accel-Redirect' => '/off' } }], ['a bearer', 'GET', { headers => { Authorization => 'Bearer x' } }],
    ['a range', 'GET', { headers => { Range => 'bytes=0-1' } }], ['HTTP/1.0', 'GET', { http => '1.0' }]) {
    my ($name, $method, $option) = @$case;
    like $browser->fresh->request($method, '/closed', %$option)->status, qr/^(?:302|40\d)$/, "$name: not let in";
}
for my $path ('/closed/../closed', '/%63losed', '//closed', '/closed%2f', '/CLOSED/../closed', '/./closed', '/off/../closed') {
    like $browser->fresh->get($browser->{base} . $path)->status, qr/^(?:302|404)$/, "$path: not let in";
}

done_testing;
