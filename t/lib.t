# The test library itself, without the module: nginx as a plain server and as the provider's TLS front, the browser's cookie jar, and
# the mock provider with a client made by hand.

use strict;
use warnings;

use FindBin;
use lib "$FindBin::Bin/lib";

use Digest::SHA qw(hmac_sha256 sha256);
use JSON::PP ();
use MIME::Base64 qw(decode_base64url encode_base64 encode_base64url);
use OIDC::Cookies;
use OIDC::Test;

my $op = OIDC::Provider->new(algs => [qw(RS256 ES256 EdDSA)], par => 1);
my $ngx = OIDC::Nginx->new(module => 0, workers => 2, http => $op->tls_front . <<'END');
    log_format with_cookie '$request $http_cookie';
    server {
        listen 127.0.0.1:%%PORT_site%%;
        server_name localhost;
        access_log %%DIR%%/access.log combined;
        location / { return 200 "$request_method $request_uri\n$http_sec_fetch_mode|$http_sec_fetch_site|$http_cookie\n"; }
        location = /set { add_header Set-Cookie "session=0123456789abcdef; Path=/; HttpOnly"; return 204; }
        location = /leak { access_log %%DIR%%/other.log with_cookie; return 200 leaked; }
        location = /away { return 302 /there?x=%20y&z=1; }
        location = /far { return 302 http://127.0.0.1:%%PORT_site%%/there; }
    }
END
$ngx->start;
my $browser = browser($ngx, $op);
my $json = JSON::PP->new->utf8;

# ---- nginx ----

is scalar($ngx->worker_pids), 2, 'two workers';
is $browser->get('/x')->status, 200, 'nginx answers';
my @before = $ngx->worker_pids;
ok $ngx->reload, 'reload';
is scalar(grep { my $pid = $_; grep { $_ == $pid } @before } $ngx->worker_pids(all => 1)), 0, 'the old workers left';
$ngx->configure(http => 'nonsense;');
ok !$ngx->reload, 'a bad configuration is refused';
is $browser->get('/x')->status, 200, 'and the old one goes on';
my $victim = $ngx->kill_worker;
ok !(grep { $_ == $victim } $ngx->worker_pids), 'a killed worker is replaced';
is conf_error('nonsense;', module => 0), 'unknown directive "nonsense" in http.conf:1', 'conf_error gives text and line';
is conf_error('server { }', module => 0), undef, 'and nothing when all is well';
like((conf_warnings("server { server_name a; listen 127.0.0.1:%%PORT_a%%; }\n" x 2, module => 0))[0], qr/conflicting server name "a"/, 'conf_warnings');
ok $ngx->wait_log(qr/exited on signal 9/), 'wait_log';
isnt OIDC::Nginx::free_port(), OIDC::Nginx::free_port(), 'ports are given out once';

# ---- the browser ----

my $page = $browser->get('/x');
like $page->body, qr/^navigate\|none\|$/m, 'a navigation of the user';
like $browser->get('/x', from => $op->origin . '/')->body, qr/^navigate\|cross-site\|/m, 'a navigation from elsewhere';
like $browser->get('/x', kind => 'fetch', from => $browser->resolve('/'))->body, qr/^cors\|same-origin\|/m, 'a script of the site';
like $browser->get('/x', kind => 'none')->body, qr/^\|\|$/m, 'no such headers';
is_deeply $browser->get('/away')->query, { x => ' y', z => 1 }, 'the query of a Location';
is $browser->get('/away', follow => 1)->body, "GET /there?x=%20y&z=1\nnavigate|none|\n", 'redirects are followed when asked';
like $browser->get('/far', follow => 1, from => $browser->resolve('/'))->body, qr/navigate\|cross-site/, 'through another site it is cross-site';
my $kept = $browser->get('/x', keepalive => 1);
my @replies = raw_of($browser, "GET /1 HTTP/1.1\r\nHost: localhost\r\n\r\nGET /2 HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n");
is scalar(@replies), 2, 'raw bytes: two answers on one connection';
like $replies[1]->body, qr{GET /2}, 'in order';
is curl('--http2-prior-knowledge', $browser->resolve('/x'))->status, 0, 'curl: no HTTP/2 without TLS in this configuration';

is_deeply { map { $_ => $browser->get('/set')->cookie('session')->{$_} } qw(value path httponly) },
    { value => '0123456789abcdef', path => '/', httponly => 1 }, 'attributes of a cookie';
like $browser->get('/x')->body, qr/session=0123456789abcdef/, 'a cookie comes back';
like $browser->get('/x', site => 'cross-site')->body, qr/session=/, 'Lax: with a navigation from elsewhere';
unlike $browser->post('/x', { a => 1 }, site => 'cross-site')->body, qr/session=/, 'Lax: not with a POST from elsewhere';
unlike $browser->get('/x', kind => 'iframe', site => 'cross-site')->body, qr/session=/, 'Lax: not in a frame elsewhere';

sub raw_of { my ($who, @arguments) = @_; return $who->raw(@arguments) }

# Name, Set-Cookie, where it comes from, where it may go, whether it goes.
my @cookies = (
    ['host only',                     'a=1',                              'http://app.test/',       'http://sub.app.test/',  0],
    ['Domain',                        'a=1; Domain=app.test',             'http://app.test/',       'http://sub.app.test/',  1],
    ['Domain of somebody else',       'a=1; Domain=other.test',           'http://app.test/',       'http://other.test/',    0],
    ['Path',                          'a=1; Path=/in',                    'http://app.test/',       'http://app.test/in/x',  1],
    ['Path is no prefix of a word',   'a=1; Path=/in',                    'http://app.test/',       'http://app.test/inn',   0],
    ['default path',                  'a=1',                              'http://app.test/in/x',   'http://app.test/',      0],
    ['Secure over http',              'a=1; Secure',                      'http://app.test/',       'https://app.test/',     0],
    ['Secure on loopback',            'a=1; Secure',                      'http://localhost/',      'http://localhost/',     1],
    ['Secure stays on https',         'a=1; Secure',                      'https://app.test/',      'http://app.test/',      0],
    ['Max-Age in the past',           'a=1; Max-Age=0',                   'http://app.test/',       'http://app.test/',      0],
    ['Max-Age before Expires',        'a=1; Max-Age=9; Expires=Thu, 01 Jan 1970 00:00:01 GMT', 'http://app.test/', 'http://app.test/', 1],
    ['Expires in the past',           'a=1; Expires=Thu, 01-Jan-1970 00:00:01 GMT', 'http://app.test/', 'http://app.test/', 0],
    ['__Host- with a path',           '__Host-a=1; Secure; Path=/in',     'https://app.test/in/',   'https://app.test/in/',  0],
    ['__Host- with a domain',         '__Host-a=1; Secure; Path=/; Domain=app.test', 'https://app.test/', 'https://app.test/', 0],
    ['__Host- as it should be',       '__Host-a=1; Secure; Path=/',       'https://app.test/',      'https://app.test/',     1],
    ['__Secure- without Secure',      '__Secure-a=1',                     'https://app.test/',      'https://app.test/',     0],
    ['SameSite=None without Secure',  'a=1; SameSite=None',               'http://app.test/',       'http://app.test/',      0],
    ['too large',                     'a=' . 'x' x 4096,                  'http://app.test/',       'http://app.test/',      0],
);
for my $case (@cookies) {
    my ($name, $set, $from, $to, $goes) = @$case;
    my $jar = OIDC::Cookies->new;
    $jar->store(OIDC::Response::parse_cookie($set), OIDC::Browser::parse_url($from), time);
    is scalar(my @sent = $jar->matching(OIDC::Browser::parse_url($to), time)), $goes, "cookie: $name";
}
{
    my ($jar, $url) = (OIDC::Cookies->new, OIDC::Browser::parse_url('http://localhost/'));
    $jar->store(OIDC::Response::parse_cookie($_), $url, time) for 'a=1; Path=/', 'a=2; Path=/', 'b=1; Path=/', 'b=; Path=/; Max-Age=0';
    is_deeply [map { "$_->{name}=$_->{value}" } $jar->all], ['a=2'], 'replaced and deleted';
}

# ---- the provider, with a client made by hand ----

my $verifier = random_token();
my $back = 'http://localhost:1/cb?keep=1';

sub authorize {
    my (%change) = @_;
    my %query = (
        response_type => 'code', client_id => $op->client_id, redirect_uri => $back, scope => 'openid', state => 'the state', nonce => 'the nonce',
        code_challenge => encode_base64url(sha256($verifier)), code_challenge_method => 'S256', %change,
    );
    return $browser->get($op->issuer . '/authorize?' . form_encode(\%query));
}

sub token {
    my ($code, %change) = @_;
    my $headers = delete $change{headers} // {
        Authorization => 'Basic ' . encode_base64(escape($op->client_id) . ':' . escape($op->client_secret), '') };
    my %form = (grant_type => 'authorization_code', code => $code, redirect_uri => $back, code_verifier => $verifier, %change);
    return $browser->post($op->issuer . '/token', \%form, headers => $headers, kind => 'none');
}

sub sign_in { return token(authorize()->query->{code}, @_) }

sub claims {
    my ($answer) = @_;
    my ($head, $payload) = split /\./, $answer->json->{id_token};
    return map { $json->decode(decode_base64url($_)) } $payload, $head;
}

my $tls = OIDC::Browser->new(base => $op->issuer, ca => $op->ca);
my $metadata = $tls->get('/.well-known/openid-configuration');
is $metadata->status, 200, 'discovery through the TLS front, certificate verified';
is $metadata->json->{issuer}, $op->issuer, 'issuer';
is curl('--cacert', $op->ca, $op->issuer . '/jwks')->json->{keys}[0]{kid}, 'rs', 'keys, fetched by curl';
is_deeply [map { $_->{kty} } @{ $tls->get('/jwks')->json->{keys} }], [qw(RSA EC OKP)], 'a key for each algorithm';

my $begun = authorize();
is $begun->status, 302, 'authorize approves';
like $begun->location, qr/^\Q$back\E&/, 'back to redirect_uri, its query kept';
is_deeply [@{ $begun->query }{qw(state iss keep)}], ['the state', $op->issuer, 1], 'state and iss';
my $answer = token($begun->query->{code});
is $answer->status, 200, 'the code becomes tokens';
is token($begun->query->{code})->json->{error}, 'invalid_grant', 'once';
my ($claims, $header) = claims($answer);
is_deeply [@$claims{qw(iss aud nonce sub)}], [$op->issuer, $op->client_id, 'the nonce', 'alice'], 'claims of the ID token';
is $claims->{at_hash}, encode_base64url(substr sha256($answer->json->{access_token}), 0, 16), 'at_hash';
is $op->last('token')->{form}{redirect_uri}, $back, 'the journal shows the form';
is $op->last('authorize')->{sid}, $claims->{sid}, 'and the sid';
is $op->count('token'), 2, 'and counts';

is authorize(state => undef)->status, 400, 'no state: refused';
is authorize(client_id => 'other')->status, 400, 'foreign client: refused';
is authorize(code_challenge => undef, code_challenge_method => undef)->status, 400, 'no PKCE: refused';
is sign_in(redirect_uri => 'http://localhost:1/cb')->json->{error_description}, 'redirect_uri differs', 'redirect_uri is compared';
is sign_in(code_verifier => 'x' x 43)->json->{error_description}, 'code_verifier', 'the verifier is checked';
is sign_in(code_verifier => undef)->json->{error_description}, 'code_verifier', 'and demanded';
is sign_in(client_secret => 'x')->status, 401, 'two ways of client authentication: refused';
is sign_in(headers => {})->status, 401, 'none: refused';
is sign_in(headers => { Authorization => 'Basic ' . encode_base64($op->client_id . ':' . $op->client_secret, '') })->status, 401,
    'Basic without form encoding: refused (RFC 6749 2.3.1)';
like +($op->refused)[-1], qr/^token: wrong credentials/, 'the journal says why';

my $userinfo = sub { my ($token) = @_; return $browser->get($op->issuer . '/userinfo', kind => 'none', headers => { Authorization => "Bearer $token" }) };
is $userinfo->($answer->json->{access_token})->json->{sub}, 'alice', 'userinfo';
is $userinfo->('nonsense')->status, 401, 'userinfo without a token';
my $refreshed = token(undef, grant_type => 'refresh_token', refresh_token => $answer->json->{refresh_token}, redirect_uri => undef, code_verifier => undef);
is $refreshed->status, 200, 'refresh';
is token(undef, grant_type => 'refresh_token', refresh_token => $answer->json->{refresh_token})->status, 400, 'refresh tokens rotate';
is $op->count('refresh'), 2, 'refreshes have a name of their own';
my $out = $browser->get($op->issuer . '/end_session?' . form_encode({ client_id => 'x', post_logout_redirect_uri => 'http://localhost:1/', state => 's' }));
is $out->location, 'http://localhost:1/?state=s', 'end_session';
like authorize(response_mode => 'form_post')->body, qr/<form method="post" action="\Q$back\E"><input type="hidden" name="code"/, 'form_post';

# ---- knobs ----

$op->with(claims => { sub => 'bob', email => undef }, drop => ['nonce'], json => { exp => '1e999' }, append => '"iss":"twice"', sub {
    my ($text) = map { decode_base64url($_) } (split /\./, sign_in()->json->{id_token})[1];
    like $text, qr/"sub":"bob"/, 'a claim overridden';
    unlike $text, qr/"email"|"nonce"/, 'claims dropped';
    like $text, qr/"exp":1e999[,}]/, 'a claim as literal JSON';
    like $text, qr/,"iss":"twice"\}$/, 'a claim twice';
});
is +(claims(sign_in()))[0]{sub}, 'alice', 'the knob is back where it was';
eval { $op->with(claims => { sub => 'x' }, sub { die "broken\n" }) };
is $@, "broken\n", 'a test that dies in a block';
is +(claims(sign_in()))[0]{sub}, 'alice', 'also takes its knob back';
ok !eval { $op->with(clams => {}, sub { }); 1 }, 'a mistyped knob is an error';

$op->with(header => { alg => 'none', kid => undef }, signature => 'empty', sub {
    is_deeply +(claims(sign_in()))[1], { alg => 'none', typ => 'JWT' }, 'alg none';
    like sign_in()->json->{id_token}, qr/\.$/, 'without a signature';
});
my $hmac_matches = sub {
    my ($key) = @_;
    my ($text, $signature) = sign_in()->json->{id_token} =~ /^(.*)\.(.*)$/;
    return encode_base64url(hmac_sha256($text, $key)) eq $signature;
};
$op->with(alg => 'HS256', sub { ok $hmac_matches->($op->client_secret), 'HS256 with the client secret' });
$op->with(alg => 'HS256', hmac => 'public_key', sub { ok !$hmac_matches->($op->client_secret), 'HS256 with the public key' });
$op->with(id_token => undef, sub { ok !exists sign_in()->json->{id_token}, 'no ID token' });
$op->with(token => { status => 500, body => 'oops', type => 'text/plain' }, sub { is sign_in()->status, 500, 'status and body of the token endpoint' });
$op->with(token => { set => { expires_in => -1 }, drop => ['scope'] }, sub { is sign_in()->json->{expires_in}, -1, 'members of the token answer' });
$op->with(token => { extra => 100_000 }, sub { is length(sign_in()->body) > 100_000, 1, 'a long body' });
$op->with(token => { redirect => 'http://localhost:1/' }, sub { is sign_in()->location, 'http://localhost:1/', 'a redirect' });
$op->with(token => { hangup => 1 }, sub { ok !eval { sign_in(); 1 }, 'hangs up' });
$op->with(token => { drip => 0.001, piece => 100 }, sub { is sign_in()->status, 200, 'drips' });
$op->with(discovery => { raw => "HTTP/1.1 200 OK\r\n\r\nraw" }, sub { is $browser->get($op->issuer . '/.well-known/openid-configuration')->body, 'raw', 'raw bytes' });
$op->with(metadata => { issuer => 'x', jwks_uri => undef }, sub {
    my $lie = $tls->get('/.well-known/openid-configuration')->json;
    is_deeply [$lie->{issuer}, exists $lie->{jwks_uri}], ['x', ''], 'metadata changed';
});
$op->with(keys => ['rs2', { name => 'rs', kid => 'rs2' }, { name => 'es256', kid => undef }], sub {
    is_deeply [map { $_->{kid} } @{ $tls->get('/jwks')->json->{keys} }], ['rs2', 'rs2', undef], 'other keys, a kid twice, a key without';
});
$op->with(callback => { error => 'access_denied', iss => undef }, callback_add => [[state => 'two']], sub {
    is_deeply [map { $_->[0] } authorize()->query_all], [qw(keep error state state)], 'the authorization answer changed';
});

# Signatures are checked by openssl with the published key, to be sure that the lies are the only thing wrong.
my $keys = OIDC::Provider::Keys->new($op->dir);
for my $alg (qw(RS256 RS384 RS512 PS256 ES256 EdDSA)) {
    $op->with(alg => $alg, sub {
        my ($text, $signature) = sign_in()->json->{id_token} =~ /^(.*)\.(.*)$/;
        my $bytes = decode_base64url($signature);
        my $size = { ES256 => 64, EdDSA => 64 }->{$alg} // 256;
        is length $bytes, $size, "$alg: size of the signature";
        return if $size == 64;
        my $public = $keys->save('public.pem', $keys->public_pem('rs'));
        ok $keys->verifies($alg, $public, $text, $bytes), "$alg: verifies";
    });
}

# ---- requests in flight ----

$op->hold('userinfo');
my $waiting = $browser->send('GET', $op->issuer . '/userinfo', kind => 'none');
$op->wait_held('userinfo');
is $browser->get($op->issuer . '/jwks')->status, 200, 'others are served while one is held';
$op->release('userinfo');
is $waiting->response->status, 401, 'released';
$op->down;
ok !eval { $browser->get($op->issuer . '/jwks'); 1 }, 'away';
$op->up;
is $browser->get($op->issuer . '/jwks')->status, 200, 'back again';

my ($logout) = map { $json->decode(decode_base64url($_)) } (split /\./, $op->logout_token(sub => 'alice', jti => undef))[1];
is_deeply [sort keys %$logout], [qw(aud events exp iat iss sub)], 'a logout token';

# ---- nginx looks at its logs: this must be able to fail ----

is scalar($ngx->leaks), 0, 'no leak so far';
$browser->get('/leak');
is scalar($ngx->leaks), 1, 'a cookie in a log of any name is found';
OIDC::Nginx::not_secret('0123456789abcdef');
$browser->get('/x?code=' . $begun->query->{code});
ok $ngx->wait_log(qr/./) && OIDC::Nginx::wait_until(sub { $ngx->leaks }), 'a code in the access log is found';
like +($ngx->leaks)[0], qr/access\.log.*code=/, 'with the line';
unlink $ngx->dir . '/access.log';
is scalar($ngx->alerts), 0, 'the killed worker is an expected alert';
open my $log, '>>', $ngx->dir . '/error.log';
print $log "2026/01/01 00:00:00 [alert] 1#1: made up\n==1==ERROR: AddressSanitizer: made up\n";
close $log;
is scalar($ngx->alerts), 1, 'an alert is found';
is scalar($ngx->tool_errors), 1, 'a sanitizer line is found';
rename $ngx->dir . '/error.log', $ngx->dir . '/seen';

done_testing;
