# How a sign-in begins: who is sent to the provider, with which parameters, what the browser keeps meanwhile, and what
# those get who cannot be sent.

use strict;
use warnings;

use FindBin;
use lib "$FindBin::Bin/lib";

use OIDC::Test;

my $token = qr/^[A-Za-z0-9_-]{43}$/;
my $ticket = qr/^(?:__Host-)?NGX_OIDC_LOGIN_/;

my $op = OIDC::Provider->new;
my $plain = OIDC::Provider->new(tls => 0, pkce => 'no', metadata => { code_challenge_methods_supported => undef });
# A provider's block under another name, with more or with less in it.
sub variant { my ($from, $name, $more, $without) = @_; my $text = provider_conf($from, name => $name, provider => $more // ''); $text =~ s/^.*$without.*\n//m if $without; return $text }

my ($ngx, undef, $browser) = site(
    op => $op,
    provider => 'scope email profile;',
    http => variant($plain, 'plain', 'display_name "<Plain & simple>";')
        . variant($op, 'args', 'extra_auth_args "prompt=login&scope=openid+email&acr_values=&who=$arg_who&a%20b=c%26d";')
        . variant($op, 'reserved', 'extra_auth_args "state=x&nonce=x&client_id=x&redirect_uri=x&response_type=x&code_challenge=x&code_challenge_method=x&code_challenge_x=x";')
        . variant($op, 'unsafe', 'pkce off;') . variant($plain, 'safe', 'pkce on;') . variant($plain, 'public', '', 'client_secret') . <<'END',
    map $arg_idp $chosen { default $arg_idp; none ''; }
    map $arg_mode $mode { default $arg_mode; '' auto; }
    server {
        listen 127.0.0.1:%%PORT_site%%;
        server_name other.example *.wild.example ~^re\d+\.example$;
        location / { auth_oidc my_idp; }
        location /base { auth_oidc my_idp; auth_oidc_base_url https://app.example.com; }
        location /base_var { auth_oidc my_idp; auth_oidc_base_url $arg_base; }
    }
    server {
        listen 127.0.0.1:%%PORT_nameless%%;
        location / { auth_oidc my_idp; }
    }
    server {
        listen 127.0.0.1:%%PORT_underscore%%;
        server_name _;
        location / { auth_oidc my_idp; }
    }
END
    location => 'auth_oidc_anonymous $mode;',
    server => <<'END',
    location /plain { auth_oidc plain; }
    location /args { auth_oidc args; }
    location /reserved { auth_oidc reserved; }
    location /unsafe { auth_oidc unsafe; }
    location /safe { auth_oidc safe; }
    location /public { auth_oidc public; }
    location /two { auth_oidc my_idp plain; try_files /none @app; }
    location /chosen { auth_oidc $chosen; try_files /none @app; }
    location /taken { auth_oidc my_idp; auth_oidc_anonymous deny; error_page 401 = @sorry; }
    location /broken { auth_oidc $chosen; error_page 500 = @sorry; }
    location @app { auth_oidc $chosen; return 200 "app $oidc_auth_status\n"; }
    location @sorry { return 200 "sorry $oidc_error $oidc_auth_status"; }
END
);
my $authorize = qr{^\Q@{[$op->issuer]}\E/authorize\?};
# One more site beside it, whose provider needs no TLS front.
sub another { my ($provider, %option) = @_; my $site = OIDC::Nginx->new(http => site_conf($provider, %option))->start; return ($site, $provider, browser($site, $provider)) }
sub begin { my ($target, %option) = @_; return $browser->fresh->begin($target, %option) }

# ---- parameters ----

{
    my $who = $browser->fresh;
    my $answer = $who->begin('/app');
    is $answer->status, 302, 'a navigation is redirected';
    like $answer->location, $authorize, 'to the authorization endpoint';
    my @names = map { $_->[0] } $answer->query_all;
    is_deeply [sort @names], [qw(client_id code_challenge code_challenge_method nonce redirect_uri response_type scope state)], 'each parameter once';
    my $query = $answer->query;
    is_deeply [@$query{qw(response_type client_id redirect_uri scope code_challenge_method)}],
        ['code', $op->client_id, $who->resolve('/oidc_callback'), 'openid email profile', 'S256'], 'with these values';
    like $query->{$_}, $token, "$_ has 43 characters" for qw(state nonce code_challenge);
    my $other = $who->fresh->begin('/app')->query;
    isnt $query->{$_}, $other->{$_}, "another $_ each time" for qw(state nonce code_challenge);
    my @tickets = $answer->set_cookies;
    is scalar @tickets, 1, 'one cookie is set';
    is $tickets[0]{name}, "NGX_OIDC_LOGIN_$query->{state}", 'named after the state';
    is_deeply [@{ $tickets[0] }{qw(path httponly samesite max_age domain secure)}], ['/', 1, 'Lax', 600, undef, undef], 'its attributes';
    unlike $tickets[0]{value}, qr/\Q$query->{nonce}\E/, 'and it is sealed';
    is length((map { $_->{form}{code_verifier} } (sub { $who->open_callback($who->approve($answer)->location); $op->last('token') })->())[0]), 43,
        'the verifier has 43 characters';
}
{
    my $tenant = OIDC::Provider->new(tls => 0);
    $tenant->with(metadata => { authorization_endpoint => $tenant->issuer . '/authorize?tenant=1&x=%20' }, sub {
        my ($site, undef, $who) = another($tenant);
        like $who->begin('/app')->location, qr{/authorize\?tenant=1&x=%20&response_type=code&}, 'the query of the endpoint is kept';
        $site->stop;
    });
}

# ---- extra_auth_args ----

{
    my $query = begin('/args?who=me%26you')->query;
    is $query->{scope}, 'openid email', 'extra_auth_args replaces a parameter of ours';
    is $query->{prompt}, 'login', 'adds one';
    is $query->{who}, 'me&you', 'holds variables, encoded once';
    is $query->{'a b'}, 'c&d', 'is decoded and encoded';
    ok !exists $query->{acr_values}, 'leaves out what is empty';
    ok !exists begin('/args')->query->{who}, 'an empty variable too';
    my $answer = begin('/reserved');
    $query = $answer->query;
    ok !grep({ ($query->{$_} // '') eq 'x' } keys %$query), 'cannot replace what ties the answer to this login';
    is scalar(@{ [$answer->query_all] }), scalar(keys %$query), 'nor repeat it';
    ok !exists $query->{code_challenge_x}, 'code_challenge* at all';
}

# ---- PKCE ----

for my $case (['/app', 1, 'auto: the metadata lists S256'], ['/plain', 0, 'auto: the metadata does not'], ['/unsafe', 0, 'off'], ['/safe', 1, 'on'], ['/public', 1, 'a public client']) {
    my ($path, $expected, $name) = @$case;
    my $query = begin($path)->query;
    is exists $query->{code_challenge} ? 1 : 0, $expected, "pkce $name";
    is $query->{code_challenge_method}, $expected ? 'S256' : undef, "pkce $name: the method";
}
{
    my $who = $browser->fresh;
    is $who->login('/plain', until => 'callback')->location, $who->resolve('/plain'), 'without PKCE a login works';
    ok !exists $plain->last('token')->{form}{code_verifier}, 'and sends no verifier';
}

# ---- where it goes back to ----

for my $target ('/', '/a%20b', '//host/x', '/a//b?a=b&c', '/?', '/a?b=%2F%00&c=?/', '/%e4%f6', '/a;b=c?d=%C3%A4', '/' . 'x' x 1199, '/a?' . 'y' x 1197) {
    my $who = $browser->fresh;
    my $answer = $who->login($who->{base} . $target, until => 'callback');
    is $answer->location, $who->{base} . $target, 'back to ' . substr($target, 0, 40) . ', byte for byte';
}
for my $case (['/a?' . 'y' x 1198, '/a'], ['/' . 'x' x 1200, '/'], ['/' . 'x' x 1199 . '?a', '/' . 'x' x 1199]) {
    my $mark = $ngx->log_mark;
    my $who = $browser->fresh;
    is $who->login($case->[0], until => 'callback')->location, $who->{base} . $case->[1], 'a target of 1,201 bytes: the path, or nothing';
    ok $ngx->wait_log(qr/\[notice\].*too long to return to/, $mark), 'with a notice';
}
is begin('/app?a=b#c')->status, 302, 'a fragment never arrives';
{
    my ($answer) = raw("GET http://evil.example/x?y HTTP/1.1\r\nHost: localhost:@{[$ngx->port('site')]}\r\nAccept: text/html\r\nConnection: close\r\n\r\n");
    is $answer->status, 421, 'a request line with the host of somebody else';
    ($answer) = raw("GET http://localhost/x?y HTTP/1.1\r\nHost: localhost:@{[$ngx->port('site')]}\r\nAccept: text/html\r\nConnection: close\r\n\r\n");
    is $answer->status, 302, 'a request line with our host';
}

# ---- kinds of request ----

my %page = (Accept => 'text/html');
my @kinds = (
    # name, method, options of the request, auto, login, deny
    ['a navigation', 'GET', {}, 302, 302, 401],
    ['HEAD', 'HEAD', {}, 302, 302, 401],
    ['fetch', 'GET', { kind => 'fetch' }, 401, 302, 401],
    ['a WebSocket', 'GET', { kind => 'websocket', headers => { Upgrade => 'websocket', Connection => 'Upgrade' } }, 401, 302, 401],
    ['an old browser', 'GET', { kind => 'none', headers => {%page} }, 302, 302, 401],
    ['curl', 'GET', { kind => 'none', headers => { Accept => '*/*' } }, 401, 302, 401],
    ['gRPC', 'POST', { kind => 'none', headers => { 'Content-Type' => 'application/grpc', TE => 'trailers' }, body => '' }, 401, 302, 401],
    ['Firefox, a navigation', 'GET', { kind => 'none', headers => { %page, 'Upgrade-Insecure-Requests' => '1', 'Sec-Fetch-Dest' => 'document', 'Sec-Fetch-Mode' => 'navigate',
        'Sec-Fetch-Site' => 'none', 'Sec-Fetch-User' => '?1', Priority => 'u=0, i' } }, 302, 302, 401],
    ['Firefox, a fetch', 'GET', { kind => 'none', headers => { Accept => '*/*', 'Sec-Fetch-Dest' => 'empty', 'Sec-Fetch-Mode' => 'cors', 'Sec-Fetch-Site' => 'same-origin', Priority => 'u=4' } }, 401, 302, 401],
    ['no Accept', 'GET', { kind => 'none' }, 401, 302, 401],
    ['XHR that accepts HTML', 'GET', { kind => 'none', headers => { %page, 'X-Requested-With' => 'XMLHttpRequest' } }, 401, 302, 401],
    ['an upgrade that accepts HTML', 'GET', { kind => 'none', headers => { %page, Upgrade => 'x' } }, 401, 302, 401],
    ['a frame', 'GET', { kind => 'iframe' }, 401, 302, 401],
    ['an image', 'GET', { headers => { 'Sec-Fetch-Mode' => 'no-cors', 'Sec-Fetch-Dest' => 'image' } }, 401, 302, 401],
    ['a prefetch', 'GET', { headers => { 'Sec-Purpose' => 'prefetch;prerender' } }, 401, 302, 401],
    ['a form', 'POST', { form => { a => 1 } }, 401, 302, 401],
    ['PUT', 'PUT', { kind => 'fetch', body => 'x' }, 401, 302, 401],
    ['OPTIONS', 'OPTIONS', { kind => 'fetch' }, 401, 302, 401],
);
for my $row (@kinds) {
    my ($name, $method, $option, %expected) = (@$row[0 .. 2], auto => $row->[3], login => $row->[4], deny => $row->[5]);
    for my $mode (qw(auto login deny)) {
        my $answer = $browser->fresh->request($method, "/app?mode=$mode", %$option);
        is $answer->status, $expected{$mode}, "$mode: $name";
        is scalar(grep { $_->{name} =~ $ticket } $answer->set_cookies), $answer->status == 302 ? 1 : 0, "$mode: $name: a ticket only with a redirect";
    }
    is $browser->fresh->request($method, '/app?mode=allow', %$option)->status, 200, "allow: $name";
}
is $browser->fresh->get('/app?mode=nonsense')->status, 500, 'another value of auth_oidc_anonymous: 500';
{
    my $answer = $browser->fresh->get('/app?x=1', kind => 'fetch');
    like $answer->header('WWW-Authenticate'), qr/^Bearer realm="my_idp"$/, '401 for programs: WWW-Authenticate';
    like $answer->header('Content-Type'), qr{^application/json}, '401 for programs: JSON';
    is_deeply [sort keys %{ $answer->json }], [qw(error error_description login_url)], '401 for programs: its members';
    is $answer->json->{error}, 'login_required', '401 for programs: error';
    like $answer->json->{login_url}, qr{^/oidc_login\?provider=my_idp}, '401 for programs: login_url';
    my $frame = $browser->fresh->get('/app?x=1', kind => 'iframe');
    like $frame->body, qr/target="_top"/, 'a frame gets a link that opens on top';
    my $form = $browser->fresh->post('/app?x=1', { a => 1 });
    like $form->body, qr/not been processed/, 'a form gets a page that says what happened';
    like $form->header('Content-Type'), qr{^text/html}, 'a form gets a page';
}

# ---- login_uri ----

sub return_to {
    my ($text) = @_;
    my $who = $browser->fresh;
    return $who->login('/oidc_login?provider=my_idp&' . $text, until => 'callback')->location;
}
my $base = $browser->{base};
is return_to('return_to=' . escape('/a?b=c&d')), "$base/a?b=c&d", 'return_to';
is return_to(''), "$base/", 'without return_to: /';
for my $evil ('https://evil.example/', '\\\\evil', '/\\evil.example', "/a\r\nX: y", 'evil', 'javascript:alert(1)', '/' . 'x' x 1300, "/\t/evil.example", ' /x') {
    is return_to('return_to=' . escape($evil)), "$base/", 'return_to ' . substr($evil =~ s/[\r\n\t]/_/gr, 0, 24) . ': /';
}
is return_to('return_to=' . escape('//evil.example/')), "$base//evil.example/", 'return_to //host stays on this site';
is return_to('target_link_uri=' . escape("$base/deep?x=1")), "$base/deep?x=1", 'target_link_uri of this site';
is return_to('target_link_uri=' . escape('/deep')), "$base/deep", 'target_link_uri as a path';
is return_to('target_link_uri=' . escape($_)), "$base/", "target_link_uri $_: /" for 'https://evil.example/x', "$base.evil.example/x", "$base\@evil.example/";
like $browser->fresh->begin('/oidc_login?iss=' . escape($op->issuer) . '&login_hint=x')->location, $authorize, 'third-party-initiated login: by iss';
is $browser->fresh->begin('/oidc_login?iss=https%3A%2F%2Fevil.example')->status, 400, 'by an unknown iss';
is $browser->fresh->begin("/oidc_login?provider=$_")->status, 400, "provider=$_: 400" for 'nobody', '', '%00';
is $browser->fresh->begin('/oidc_login?provider=my_idp&provider=plain')->status, 400, 'a parameter twice: 400';
ok !exists $browser->fresh->begin('/oidc_login?provider=my_idp&prompt=none&scope=x&login_hint=me')->query->{$_}, "$_ is not passed on" for qw(prompt login_hint);
{
    my %form = (headers => { 'Content-Type' => 'application/x-www-form-urlencoded' });
    my $posted = $browser->fresh->request('POST', '/oidc_login', %form, body => 'iss=' . escape($op->issuer) . '&login_hint=me');
    like $posted->location, $authorize, 'third-party-initiated login: by POST';
    is $posted->query->{login_hint}, 'me', 'with its hint';
    is $browser->fresh->request('POST', '/oidc_login', %form, body => 'iss=https%3A%2F%2Fevil.example')->status, 400, 'by POST with an unknown iss';
    is $browser->fresh->request('POST', '/oidc_login', body => '{}', headers => { 'Content-Type' => 'application/json' })->status, 415, 'no form';
}
for my $method (qw(PUT DELETE)) {
    my $answer = $browser->fresh->request($method, '/oidc_login');
    is $answer->status, 405, "$method to login_uri: 405";
    like $answer->header('Cache-Control') // '', qr/no-store/, "$method to login_uri: our headers";
}
{
    my $who = $browser->fresh;
    $who->login('/app');
    is $who->login('/oidc_login?provider=my_idp&return_to=/again', until => 'callback')->location, "$base/again", 'login_uri signs in anew with a session';
}

# ---- several providers ----

{
    my $who = $browser->fresh;
    my $page = $who->get('/two?x=1');
    is $page->status, 401, 'the sign-in page, in place';
    is_deeply [$page->set_cookies], [], 'begins no login';
    my @links = map { OIDC::Browser::html_unescape($_) } $page->body =~ /<a[^>]* href="([^"]*)"/g;
    is scalar @links, 2, 'one button each';
    like $page->body, qr/&lt;Plain &amp; simple&gt;/, 'with display_name, escaped';
    my $answer = $who->login($links[1], until => 'callback');
    is $answer->location, $who->resolve('/two?x=1'), 'a button leads back to the target';
    is $who->get('/chosen?idp=plain')->status, 200, 'signed in at that provider';
    is $who->get('/two')->status, 200, 'which will do where both are named';
    is $who->get('/app')->status, 302, 'and not where the other one is';
    is $browser->fresh->get('/oidc_login?return_to=/x')->status, 200, 'the page at login_uri: 200';
    is $browser->fresh->get('/two', kind => 'fetch')->status, 401, 'a program: 401';
    like $browser->fresh->get('/two', kind => 'fetch')->header('Content-Type'), qr/json/, 'a program: JSON';
    ok $who->cookies->find('NGX_OIDC_SESSION_plain'), 'cookies of several providers have its name behind them';
    $who->login('/app');
    is_deeply [map { $who->get($_)->status } '/app', '/chosen?idp=plain'], [200, 200], 'so that both sessions live';
}

# ---- the provider by a variable ----

is $browser->fresh->get('/chosen?idp=off')->status, 200, 'off opens';
is $browser->fresh->get('/chosen?idp=my_idp')->status, 302, 'a name: its provider';
for my $idp ('none', 'nobody', 'OFF', 'my_idp%20nobody') {
    my $mark = $ngx->log_mark;
    my $answer = $browser->fresh->get("/chosen?idp=$idp");
    is $answer->status, 500, "$idp: 500";
    ok $ngx->wait_log(qr/auth_oidc: .*"auth_oidc"/, $mark), "$idp: with a log line";
    like $answer->header('Cache-Control') // '', qr/no-store/, "$idp: our headers";
}
{
    my $alone = OIDC::Nginx->new(http => 'server { listen 127.0.0.1:%%PORT_site%%; server_name localhost; auth_oidc $arg_idp; location / { try_files /none @app; } location @app { auth_oidc off; return 200; } }')->start;
    my $who = browser($alone, $op);
    is $who->get('/')->status, 500, 'without any oidc_provider an empty variable is 500 too';
    is $who->get('/?idp=off')->status, 200, 'and off opens';
    $alone->stop;
}

# ---- error_page ----

is $browser->fresh->get('/taken', kind => 'fetch')->body, 'sorry login_required anonymous', 'error_page takes a 401 over, with $oidc_error';
like $browser->fresh->get('/broken?idp=nobody')->body, qr/^sorry \w+ error$/, 'and a 500';

# ---- under which address ----

sub host { my ($host, $path) = @_; return $browser->fresh->get($path // '/app', headers => { Host => $host }) }
my $port = $ngx->port('site');
is host("other.example:$port")->query->{redirect_uri}, "http://other.example:$port/oidc_callback", 'a server_name';
is host('OTHER.example')->query->{redirect_uri}, 'http://other.example/oidc_callback', 'the port is that of the Host header, the name in lower case';
is host('a.b.wild.example')->query->{redirect_uri}, 'http://a.b.wild.example/oidc_callback', 'a wildcard name';
is host('re12.example')->query->{redirect_uri}, 'http://re12.example/oidc_callback', 'a name by regex';
is host('127.0.0.1:1')->query->{redirect_uri}, 'http://127.0.0.1:1/oidc_callback', 'a loopback address';
for my $host ('evil.example', 'wild.example', 'rex.example', 'localhost.evil.example', '127.0.0.1.evil.example') {
    my $answer = host($host);
    is $answer->status, 421, "$host: 421";
    is_deeply [$answer->set_cookies], [], "$host: no cookie";
    like $answer->header('Cache-Control') // '', qr/no-store/, "$host: our headers";
}
is host('evil.example', '/oidc_login?provider=my_idp')->status, 421, 'login_uri: 421';
is host('evil.example', '/oidc_login?provider=my_idp')->header('X-Content-Type-Options'), 'nosniff', '421 is an answer of ours';
{
    my $who = $browser->fresh;
    $who->login('/app');
    is $who->get('/app', headers => { Host => 'evil.example' })->status, 404, 'requests with a session need no known host';
}
for my $case (['nameless', 'without a name'], ['underscore', 'that is called _']) {
    is $browser->fresh->get("http://localhost:@{[$ngx->port($case->[0])]}/app", headers => { Host => 'any.example' })->query->{redirect_uri},
        'http://any.example/oidc_callback', "a server $case->[1] takes any host";
}
is host('other.example', '/base')->query->{redirect_uri}, 'https://app.example.com/oidc_callback', 'auth_oidc_base_url';
like host('other.example', '/base')->cookie($ticket)->{name}, qr/^__Host-/, 'auth_oidc_base_url with https: __Host- tickets';
is host('other.example', '/base')->cookie($ticket)->{secure}, 1, 'which are Secure';
is host('other.example', '/base_var?base=http://v.example')->query->{redirect_uri}, 'http://v.example/oidc_callback', 'auth_oidc_base_url by a variable';
is host('other.example', "/base_var?base=$_")->status, 500, "auth_oidc_base_url of $_: 500" for '', 'x', 'https://a.example/path';
$browser->fresh->get('/app', headers => { 'X-Forwarded-Host' => 'evil.example', 'X-Forwarded-Proto' => 'https', Forwarded => 'host=evil.example' });
is $browser->fresh->get('/app', headers => { 'X-Forwarded-Host' => 'evil.example', 'X-Forwarded-Proto' => 'https', Forwarded => 'host=evil.example' })->query->{redirect_uri},
    "http://localhost:$port/oidc_callback", 'no forwarded header is trusted';

# ---- TLS that ends before nginx: an absolute redirect_uri ----

{
    my ($behind, undef, $who) = another(OIDC::Provider->new(tls => 0), provider => 'redirect_uri https://localhost/oidc_callback;');
    my $answer = $who->begin('/app?x=1');
    is $answer->query->{redirect_uri}, 'https://localhost/oidc_callback', 'an absolute redirect_uri is sent as it is';
    is_deeply [@{ $answer->cookie($ticket) }{qw(secure httponly path)}], [1, 1, '/'], 'tickets are Secure';
    like $answer->cookie($ticket)->{name}, qr/^__Host-/, 'and __Host-';
    my $code = $who->approve($answer)->location =~ s{^https://localhost}{$who->{base}}r;
    my $done = $who->open_callback($code);
    is $done->location, 'https://localhost/app?x=1', 'the target is under that origin';
    is $done->cookie('NGX_OIDC_SESSION')->{secure}, 1, 'the session cookie is Secure';
    $behind->stop;
}

# ---- https ----

{
    my ($site, $secure) = (undef, OIDC::Provider->new(tls => 0));
    $site = OIDC::Nginx->new(http => site_conf($secure, https => 1))->start;
    my $who = browser($site, $secure, https => 1);
    my $answer = $who->begin('/app');
    my $cookie = $answer->cookie($ticket);
    like $cookie->{name}, qr/^__Host-NGX_OIDC_LOGIN_/, 'https: __Host- ticket';
    is_deeply [@$cookie{qw(secure httponly samesite path domain)}], [1, 1, 'Lax', '/', undef], 'https: its attributes';
    my $done = $who->open_callback($who->approve($answer)->location);
    is_deeply [@{ $done->cookie('NGX_OIDC_SESSION') }{qw(secure httponly samesite path domain)}], [1, 1, 'Lax', '/', undef], 'https: the session cookie';
    is_deeply [@{ $done->cookie($cookie->{name}) }{qw(value secure path httponly)}], ['', 1, '/', 1], 'https: the ticket is deleted with its attributes';
    is_deeply [$who->cookies->refused], [], 'https: the browser refuses none';
    is $who->get('/app')->status, 200, 'https: signed in';
    $site->stop;
}

# ---- what every answer of ours has ----

my %ours = (
    'the redirect to the provider' => sub { begin('/app') },
    '401 for programs' => sub { $browser->fresh->get('/app', kind => 'fetch') },
    'the page for a form' => sub { $browser->fresh->post('/app', { a => 1 }) },
    'the sign-in page' => sub { $browser->fresh->get('/two') },
    'login_uri' => sub { $browser->fresh->get('/oidc_login') },
    'an error page' => sub { $browser->fresh->get('/oidc_callback') },
    'the way back' => sub { $browser->fresh->login('/app', until => 'callback') },
    'a wrong method at the callback' => sub { $browser->fresh->request('DELETE', '/oidc_callback') },
    'HEAD at the callback' => sub { $browser->fresh->request('HEAD', '/oidc_callback') },
    'an unknown mode' => sub { $browser->fresh->get('/app?mode=x') },
    'a malformed query' => sub { $browser->fresh->get('/oidc_login?%zz') },
);
for my $name (sort keys %ours) {
    my $answer = $ours{$name}->();
    is $answer->header('Cache-Control'), 'no-store', "$name: Cache-Control";
    is $answer->header('X-Content-Type-Options'), 'nosniff', "$name: X-Content-Type-Options";
    is $answer->header('Referrer-Policy'), 'no-referrer', "$name: Referrer-Policy";
    like $answer->header('Content-Security-Policy') // '', qr/frame-ancestors 'none'/, "$name: frame-ancestors";
    unlike $answer->header('Content-Security-Policy') // '', qr/unsafe-inline/, "$name: no inline script";
    unlike $answer->body, qr/<script|\bon\w+=|style="|https?:\/\/(?!localhost)/, "$name: no script, no foreign resource";
}
is $browser->fresh->request('HEAD', '/oidc_callback?code=x&state=y')->status, 405, 'HEAD at the callback: 405';

# ---- a provider that is away ----

{
    my $away = OIDC::Provider->new(tls => 0);
    my ($site, undef, $who) = another($away, server => 'location /own { auth_oidc my_idp; error_page 503 = @down; } location @down { return 503 "own $oidc_error"; }');
    $away->down;
    my $answer = $who->get('/app');
    is $answer->status, 503, 'no metadata yet and the provider away: 503';
    like $answer->header('Retry-After') // '', qr/^[1-9]\d*$/, 'with Retry-After';
    cmp_ok $answer->header('Retry-After'), '<=', 30, 'of at most 30 seconds';
    my $own = $who->get('/own');
    is $own->body, 'own provider_data', 'error_page takes a 503 over';
    like $own->header('Retry-After') // '', qr/^[1-9]\d*$/, 'which keeps Retry-After';
    is $who->get('/open')->status, 200, 'others are served';
    $away->up;
    $site->stop;
}

done_testing;
