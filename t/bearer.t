# auth_oidc_bearer: access tokens beside sessions or instead of them. Every lie that an ID
# token can tell is told again in an access token, and none is let in.

use strict;
use warnings;

use FindBin;
use lib "$FindBin::Bin/lib";

use JSON::PP ();
use MIME::Base64 qw(encode_base64url);
use OIDC::Test;

my $op = OIDC::Provider->new(algs => [qw(RS256 ES256 EdDSA)]);
my $other = OIDC::Provider->new;
my $show = 'add_header X-Sub $oidc_claim_sub always; add_header X-Status $oidc_auth_status always; add_header X-In $oidc_is_logged_in always;
    add_header X-Error $oidc_error always; add_header X-Provider $oidc_provider always; try_files /none =204;';
my %place = (
    on       => 'auth_oidc_bearer on;',
    only     => 'auth_oidc_bearer only;',
    jwt      => 'auth_oidc_bearer on typ=jwt;',
    api      => 'auth_oidc_bearer only audience=https://api.example.com audience=urn:other;',
    scoped   => 'auth_oidc_bearer only "scope=read write" resource=https://api.example.com/v1;',
    root     => 'auth_oidc_bearer only resource=https://api.example.com;',
    allow    => 'auth_oidc_bearer only; auth_oidc_anonymous allow;',
    rule     => 'auth_oidc_bearer on; auth_oidc_require groups staff;',
    gold     => 'auth_oidc_bearer on; auth_oidc_require acr gold;',
    fresh    => 'auth_oidc_bearer on; auth_oidc_max_age 5m;',
);
my $conf = provider_conf($op) . provider_conf($other, name => 'second', provider => 'cookie_name SECOND; redirect_uri /second;')
    . provider_conf($op, name => 'strict', provider => 'clock_skew 0; cookie_name STRICT; redirect_uri /strict_back; login_uri /strict_login;')
    . "server { listen 127.0.0.1:%%PORT_site%%; listen 127.0.0.1:%%PORT_h2%% http2; server_name localhost; root %%DIR%%;\n"
    . join('', map { "location /$_ { auth_oidc my_idp; $place{$_} $show }\n" } sort keys %place)
    . "location /strict { auth_oidc strict; auth_oidc_bearer only; $show }\n"
    . "location /two { auth_oidc my_idp second; auth_oidc_bearer on; $show }\n"
    . "location /off { auth_oidc my_idp; $show }\n"
    . "location /any { satisfy any; deny all; auth_oidc my_idp; auth_oidc_bearer only; $show }\n"
    . "location /up { auth_oidc my_idp; auth_oidc_bearer only; auth_oidc_set_header Authorization \"Token \$oidc_access_token\"; proxy_pass http://127.0.0.1:%%PORT_echo%%; }\n"
    . "location /inner { auth_oidc my_idp; auth_oidc_bearer only; error_page 404 = /up; }\n"
    . "location /first { auth_oidc my_idp; auth_oidc_bearer only; error_page 404 = /api; try_files /none =404; }\n"
    . "location /page { auth_oidc my_idp; auth_oidc_bearer only; error_page 401 /sorry; }\n"
    . "location = /sorry { auth_oidc off; $show }\n"
    . "}\nserver { listen 127.0.0.1:%%PORT_echo%%; location / { return 200 \"\$http_authorization\"; } }\n";
my ($ngx, undef, $browser) = site(op => $op, conf => $op->tls_front . $other->tls_front . $conf, nginx => { workers => 2 });

my ($me, $issuer, $now) = ($op->client_id, $op->issuer, time);

# An honest token, but for what is said.
sub token {
    my (%how) = @_;
    my %claims = (
        iss => $issuer, aud => $me, sub => 'alice', client_id => 'some-app', iat => $now, exp => $now + 600, jti => random_token(), scope => 'read write',
        %{ delete $how{claims} || {} },
    );
    delete @claims{ grep { !defined $claims{$_} } keys %claims };
    my $signer = delete $how{by} || $op;
    return $signer->sign(\%claims, %how, header => { typ => 'at+jwt', %{ $how{header} || {} } });
}

sub ask {
    my ($token, $path, %more) = @_;
    return $browser->fresh->get($path // '/only', kind => 'fetch', %more, headers => { Authorization => "Bearer $token", %{ $more{headers} || {} } });
}

sub truth { my ($name, $token, $path) = @_; my $answer = ask($token, $path); is $answer->status, 204, "let in: $name" or diag $answer->body; return $answer }

# Refused: 401 with the code of RFC 6750, and nobody is known.
sub lie {
    my ($name, $token, $path) = @_;
    my $answer = ask($token, $path);
    my ($error) = ($answer->header('WWW-Authenticate') // '') =~ /error="(\w+)"/;
    is join(' ', $answer->status, $error // '-', $answer->header('X-In') // ''), '401 invalid_token ', "refused: $name";
    return $answer;
}

# ---- the honest way ----

my $in = truth('a token of RFC 9068', token());
is $in->header('X-Sub'), 'alice', 'its claims are in the variables';
is $in->header('X-Status'), 'bearer', '$oidc_auth_status';
is $in->header('X-Provider'), 'my_idp', '$oidc_provider';
is scalar($in->headers_all('Set-Cookie')), 0, 'and there is no session';
truth("typ $_", token(header => { typ => $_ })) for 'application/at+jwt', 'AT+JWT';
truth("signed with $_", token(alg => $_)) for qw(ES256 EdDSA);
truth('among audiences', token(claims => { aud => ['other', $me] }));
truth('no azp, several audiences: it is no ID token', token(claims => { aud => ['other', $me], azp => 'other' }));
truth('one of the audiences named', token(claims => { aud => 'urn:other' }), '/api');
is ask(token(), '/on')->status, 204, 'on: a token will do';
is ask(token(), '/off')->status, 401, 'where it is off a token is nothing';
is ask(token(), '/any')->status, 204, 'satisfy any';
is $browser->fresh->get('/any', kind => 'fetch')->status, 401, 'satisfy any: nobody without one';

# ---- nobody's token ----

my $none = $browser->fresh->get('/only', kind => 'fetch');
is $none->status, 401, 'no token: 401';
is $none->header('WWW-Authenticate'), 'Bearer realm="my_idp"', 'a challenge without an error (RFC 6750 3)';
is $browser->fresh->get('/only')->status, 401, 'only: a navigation is never redirected';
is $browser->fresh->get('/on')->status, 302, 'on: a navigation is sent to sign in';
$browser = $browser->fresh;
$browser->login('/on');
is $browser->get('/on')->status, 204, 'on: a session will do';
is $browser->get('/only')->status, 401, 'only: a session will not';
is $browser->get('/on', headers => { Authorization => 'Bearer ' . token(claims => { aud => 'x' }) })->status, 401, 'on: a bad token is not mended by a session';
is $browser->get('/on', headers => { Authorization => 'Basic eDp5' })->status, 204, 'another scheme is no token';
is $browser->fresh->get('/allow', kind => 'fetch')->status, 204, 'anonymous allow: without a token';
lie('anonymous allow: a bad token all the same', token(claims => { aud => 'x' }), '/allow');

# ---- malformed requests (RFC 6750 3.1) ----

sub malformed {
    my ($name, $answer) = @_;
    my ($error) = ($answer->header('WWW-Authenticate') // '') =~ /error="(\w+)"/;
    is join(' ', $answer->status, $error // '-'), '400 invalid_request', $name;
}
malformed("Authorization: $_", $browser->fresh->get('/only', kind => 'fetch', headers => { Authorization => $_ })) for 'Bearer', 'Bearer a b', 'bearer a,b', 'Bearer "a"', 'Bearer a{}';
malformed("a token in the query of $_", $browser->fresh->get("$_?x=1&access_token=" . token(), kind => 'fetch')) for qw(/only /on /allow);
malformed('in the header and in the query', ask(token(), '/only?access_token=x'));
is raw("GET /only HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n" . "Authorization: Bearer x\r\n" x 2 . "\r\n")->status, 400, 'two Authorization headers';
{
    my $big = OIDC::Nginx->new(http => $conf =~ s/root %%DIR%%;/root %%DIR%%; large_client_header_buffers 4 64k;/r);
    $big->start;
    my $who = OIDC::Browser->new(base => 'http://localhost:' . $big->port('site'));
    is $who->get('/only', kind => 'fetch', headers => { Authorization => 'Bearer ' . token(claims => { pad => 'x' x 15_000 }) })->status, 204, 'a token of 20 KB';
    my $answer = $who->get('/only', kind => 'fetch', headers => { Authorization => 'Bearer ' . token(claims => { pad => 'x' x 32_000 }) });
    is $answer->status, 401, 'a token over 32 KB';
    like $answer->header('WWW-Authenticate'), qr/error="invalid_token"/, 'by the code of the RFC';
    $big->stop;
}

# ---- form ----

lie("literally $_", $_) for '.', '..', 'a.b.c', 'null', 'eyJhbGciOiJSUzI1NiJ9..', '....';
lie("mangled: $_", token(mangle => $_)) for qw(pad_header pad_payload pad_signature two_parts four_parts five_parts unused_bits);
lie("header $_", token(header_text => $_)) for 'null', '[]', '"RS256"', '{"alg":"RS256"', '{"typ":"at+jwt","alg":"RS256","kid":"rs","alg":"RS256"}';
lie("claims $_", token(payload => $_)) for 'null', '[]', '{}', '"x"', '{"iss":', "{}\0";
lie('a claim twice', token(append => '"sub":"mallory"'));
lie('nested 17 deep', token(json => { deep => ('[' x 17) . (']' x 17) }));
lie('crit', token(header => { crit => ['x'], x => 1 }));

# ---- alg, signature, key ----

lie("alg $_", token(header => { alg => $_ })) for qw(None rs256 HS256 RSA-OAEP), '';
lie('alg none without a signature', token(header => { alg => 'none', kid => undef }, signature => 'empty'));
lie("alg $_, which the metadata does not list", token(alg => $_)) for qw(RS512 PS256);
lie('ES256 over the RSA key', token(header => { alg => 'ES256' }));
lie('RS256 with the key of ES256', token(header => { kid => 'es256' }));
lie('HS256 with the client secret', token(alg => 'HS256'));
lie('HS256 with the public key as secret', token(alg => 'HS256', hmac => 'public_key', header => { kid => 'rs' }));
lie("signature $_", token(signature => $_)) for qw(garbage empty x);
lie('signed by another key under this kid', token(key => 'rs_other', header => { kid => 'rs' }));
lie('signed by another key without kid', token(key => 'rs_other', header => { kid => undef }));
lie('a key of its own in the header', token(key => 'rs_other', header => { kid => undef, jwk => OIDC::Provider::Keys->new($op->dir)->jwk('rs_other') }));
lie('the provider of another block', token(by => $other, claims => { iss => $issuer }));

# ---- iss, aud ----

lie('iss missing', token(claims => { iss => undef }));
lie("iss $_", token(claims => { iss => $_ })) for "$issuer/", uc $issuer, 'https://evil.example', "$issuer ", '';
lie('iss a list', token(claims => { iss => [$issuer] }));
lie('aud missing', token(claims => { aud => undef }));
lie("aud $_", token(claims => { aud => $_ })) for 'other', "${me}x", uc $me, '', "$me ";
lie('aud ' . JSON::PP->new->encode($_), token(claims => { aud => $_ })) for [], ['a', 'b'], { $me => 1 }, [$me, 1];
like lie('the client, where another audience is named', token(), '/api')->header('WWW-Authenticate'),
    qr/error_description="audience: expected 'https:\/\/api\.example\.com urn:other', found '$me'"/, 'expected and found';
ok $ngx->log_like(qr/bearer refused, provider "my_idp", rule access_token_aud: audience: expected "https:\/\/api/), 'also in the log';

# ---- times, sub ----

for my $claim (qw(exp iat)) {
    lie("$claim missing", token(claims => { $claim => undef }));
    lie("$claim is $_", token(json => { $claim => $_ })) for 'null', '""', "\"$now\"", '[]', 'true', '1e999';
}
lie('exp over', token(claims => { exp => $now - 120 }));
truth('exp over by less than the skew', token(claims => { exp => $now - 20 }));
lie('exp over, and no skew', token(claims => { exp => $now - 20 }), '/strict');
lie("exp $_", token(json => { exp => $_ })) for '0', '-1', '-1e300';
truth('exp after 2106', token(claims => { exp => 7_258_118_400 }));
lie('iat in the future', token(claims => { iat => $now + 300 }));
lie('nbf not reached', token(claims => { nbf => $now + 300 }));
lie('nbf no number', token(claims => { nbf => 'now' }));
lie('sub missing', token(claims => { sub => undef }));
lie('sub empty', token(claims => { sub => '' }));
lie('sub a number', token(json => { sub => '1' }));
lie('sub of 256 characters', token(claims => { sub => 'x' x 256 }));
lie("sub with $_", token(json => { sub => "\"a${_}b\"" })) for '\\u0000', '\\n', '\\u007f';

# ---- one kind of token for another ----

lie('typ absent', token(header => { typ => undef }));
lie("typ $_", token(header => { typ => $_ })) for 'JWT', 'logout+jwt', 'secevent+jwt', 'dpop+jwt', 'at+jwt ', '';
my %id_token = (nonce => random_token(), at_hash => encode_base64url('x' x 16));
for my $typ ('JWT', undef) {
    my $name = $typ // 'absent';
    truth("typ=jwt: typ $name", token(header => { typ => $typ }), '/jwt');
    lie("typ=jwt: typ $name, an ID token", token(header => { typ => $typ }, claims => \%id_token), '/jwt');
    lie("typ=jwt: typ $name, there is $_", token(header => { typ => $typ }, claims => { $_ => 'x' }), '/jwt') for qw(nonce at_hash c_hash events);
    lie("typ=jwt: typ $name, claim typ $_", token(header => { typ => $typ }, claims => { typ => $_ }), '/jwt') for qw(ID Refresh Logout DPoP bearer), '';
    truth("typ=jwt: typ $name, claim typ Bearer", token(header => { typ => $typ }, claims => { typ => 'Bearer' }), '/jwt');
}
truth('typ=jwt: at+jwt too', token(), '/jwt');
lie("typ=jwt: typ $_", token(header => { typ => $_ }), '/jwt') for 'logout+jwt', 'dpop+jwt', '';
lie("a logout token at $_", $op->logout_token(sub => 'alice'), $_) for qw(/only /jwt);
lie("a logout token without its type at $_", $op->logout_token(sub => 'alice', how => { header => {} }), $_) for qw(/only /jwt);
lie('bound to a key: ' . JSON::PP->new->canonical->encode($_), token(claims => { cnf => $_ })) for { jkt => 'x' }, { 'x5t#S256' => 'x' }, {};

# ---- several providers: by iss ----

my $second = truth('the second one\'s', token(by => $other, claims => { iss => $other->issuer, aud => $other->client_id }), '/two');
is $second->header('X-Provider'), 'second', 'is found by iss';
truth('the first one\'s', token(), '/two');
lie('the second one\'s where only the first counts', token(by => $other, claims => { iss => $other->issuer, aud => $other->client_id }), '/on');
lie('the first one\'s issuer with the second one\'s key', token(by => $other), '/two');
like lie('neither\'s', token(claims => { iss => 'https://evil.example' }), '/two')->header('WWW-Authenticate'), qr/found 'https:\/\/evil\.example'/, 'expected and found';

# ---- scopes, rules, step-up ----

truth('the scopes', token(), '/scoped');
truth('and more', token(claims => { scope => 'x write read' }), '/scoped');
truth('as the list that some providers send', token(claims => { scope => undef, scp => ['read', 'write'] }), '/scoped');
for my $scope ('read', 'readwrite', '', undef, ['read']) {
    my $answer = ask(token(claims => { scope => $scope }), '/scoped');
    is $answer->status, 403, 'too few scopes: ' . JSON::PP->new->allow_nonref->encode($scope);
    like $answer->header('WWW-Authenticate'), qr/scope="read write".*error="insufficient_scope"/, 'by the code of the RFC';
}
is ask(token(claims => { groups => ['staff'] }), '/rule')->status, 204, 'auth_oidc_require';
my $refused = ask(token(claims => { groups => ['guest'] }), '/rule', kind => 'navigate');
is $refused->status, 403, 'auth_oidc_require: 403';
is $refused->json->{error}, 'access_denied', 'in JSON, whatever the request looks like';
for my $case (['/gold', { acr => 'silver' }, qr/acr_values="gold"/], ['/fresh', { auth_time => $now - 3600 }, qr/max_age="300"/], ['/fresh', {}, qr/max_age="300"/]) {
    my ($path, $claims, $expected) = @$case;
    my $answer = ask(token(claims => $claims), $path, kind => 'navigate');
    is $answer->status, 401, "$path: another sign-in is asked for, and nobody is redirected";
    like $answer->header('WWW-Authenticate'), qr/error="insufficient_user_authentication".*$expected/, 'RFC 9470';
}
is ask(token(claims => { acr => 'gold' }), '/gold')->status, 204, 'acr';
is ask(token(claims => { auth_time => $now }), '/fresh')->status, 204, 'auth_time';

# ---- protected resource metadata (RFC 9728) ----

my $challenge = $browser->fresh->get('/scoped', kind => 'fetch')->header('WWW-Authenticate');
like $challenge, qr{resource_metadata="https://api\.example\.com/\.well-known/oauth-protected-resource/v1"}, 'the challenge names the metadata';
like $challenge, qr{scope="read write"}, 'and the scopes';
my $metadata = $browser->fresh->get('/.well-known/oauth-protected-resource/v1', kind => 'fetch');
is $metadata->header('Content-Type'), 'application/json', 'it is JSON';
is $metadata->header('Access-Control-Allow-Origin'), '*', 'for scripts of any site';
is_deeply $metadata->json, {
    resource => 'https://api.example.com/v1', authorization_servers => [$issuer], bearer_methods_supported => ['header'], scopes_supported => ['read', 'write'],
}, 'and names the provider';
is $browser->fresh->get('/.well-known/oauth-protected-resource', kind => 'fetch')->json->{resource}, 'https://api.example.com', 'a resource without a path';
is $browser->fresh->request(OPTIONS => '/.well-known/oauth-protected-resource', kind => 'fetch')->status, 204, 'preflight';
is $browser->fresh->post('/.well-known/oauth-protected-resource', {})->status, 405, 'only to be read';

# ---- the token on its way ----

my $sent = token();
is ask($sent, '/up')->body, "Token $sent", '$oidc_access_token, and auth_oidc_set_header may take its place';
is ask($sent, '/inner')->body, "Token $sent", 'after an internal redirect too';
is ask(token(claims => { aud => 'x' }), '/page')->header('X-Error'), 'invalid_token', '$oidc_error is the code';
my @h2 = ('--http2-prior-knowledge', 'http://localhost:' . $ngx->port('h2') . '/only');
is curl('-H', "Authorization: Bearer $sent", @h2)->status, 204, 'HTTP/2';
is curl('-H', 'Authorization: Bearer x', @h2)->status, 401, 'HTTP/2: refused';

# ---- introspection (RFC 7662) ----

my $count = 0;
sub opaque { my $token = 'opaque-' . $count++ . random_token(); secret($token); return $token }
my %active = (active => JSON::PP::true, sub => 'bob', aud => $me, iss => $issuer, exp => $now + 600, scope => 'read write');
sub introspected {
    my (%set) = @_;
    my $path = delete $set{path};
    my $token = opaque();
    my %all = (%active, %set);
    return $op->with(introspect => { body => JSON::PP->new->encode({ map { $_ => $all{$_} } grep { defined $all{$_} } keys %all }) }, sub { ask($token, $path) });
}

my $known = opaque();
my $asked = $op->count('introspect');
my $bob = $op->with(introspect => { set => \%active }, sub { ask($known) });
is $bob->status, 204, 'an opaque token';
is $bob->header('X-Sub'), 'bob', 'its claims';
is_deeply [@{ $op->last('introspect')->{form} }{qw(token token_type_hint)}], [$known, 'access_token'], 'the request';
is ask($known)->status, 204, 'again';
is $op->count('introspect'), $asked + 1, 'the answer is kept: asked once, over all workers';
is ask($known, '/rule')->status, 403, 'rules hold';
is $op->count('introspect'), $asked + 1, 'and nobody is asked again';
is ask($known, '/api')->status, 401, 'another audience is another question';
is $op->count('introspect'), $asked + 2, 'which is asked';
is $op->with(introspect => { set => { %active, aud => [$me, 'urn:other'] } }, sub { ask(opaque(), '/first') })->status, 204, 'both in one request, after an internal redirect';
is $op->count('introspect'), $asked + 4, 'are asked';
is_deeply [$op->refused], [], 'the provider saw no wrong request';
$asked = $op->count('introspect');
my $unknown = opaque();
like ask($unknown)->header('WWW-Authenticate'), qr/error="invalid_token"/, 'a token that the provider does not know';
is ask($unknown)->status, 401, 'again';
is $op->count('introspect'), $asked + 1, 'a refusal is kept too';

my @refused = (
    ['active false', active => JSON::PP::false], ['exp over', exp => $now - 120], ['another iss', iss => 'https://evil.example'], ['another aud', aud => 'other'],
    ['no aud, another client', aud => undef, client_id => 'other'], ['no aud, no client', aud => undef], ['nbf to come', nbf => $now + 300], ['iat to come', iat => $now + 300],
    ['sub with a line end', sub => "a\nb"], ['DPoP', token_type => 'DPoP'], ['bound', cnf => { jkt => 'x' }], ['a refresh token of Keycloak', typ => 'Refresh'], ['an ID token', nonce => 'x'],
    ['no aud where audiences are named', aud => undef, client_id => $me, path => '/api'],
);
for my $case (@refused) {
    my ($name, %set) = @$case;
    my $answer = introspected(%set);
    is join(' ', $answer->status, $answer->header('WWW-Authenticate') =~ /error="(\w+)"/), '401 invalid_token', "introspection: $name";
}
my @accepted = (['no iss', iss => undef], ['no exp', exp => undef], ['no sub', sub => undef], ['no aud, but our client', aud => undef, client_id => $me], ['token_type bearer', token_type => 'bearer']);
is introspected(@$_[1 .. $#$_])->status, 204, "introspection: $_->[0]" for @accepted;
is introspected(scope => 'read', path => '/scoped')->status, 403, 'introspection: too few scopes';

for my $case (['500', { status => 500 }], ['401', { status => 401 }], ['no JSON', { body => 'x' }], ['no active', { body => '{}' }], ['active a text', { body => '{"active":"true"}' }], ['too large', { extra => 70_000 }], ['a redirect', { redirect => '/' }], ['no answer', { hangup => 1 }]) {
    my ($name, $change) = @$case;
    my $answer = $op->with(introspect => $change, sub { ask(opaque()) });
    is $answer->status, 503, "introspection: $name: 503";
    ok $answer->header('Retry-After'), 'with Retry-After';
}

# One call at a time, whoever waits.
$op->hold('introspect');
$asked = $op->count('introspect');
my $busy = opaque();
my @waiting = map { $browser->fresh->send(GET => '/only', kind => 'fetch', headers => { Authorization => "Bearer $busy" }) } 1 .. 6;
$op->wait_held('introspect');
$op->set(introspect => { set => \%active });
$op->release('introspect');
is_deeply [map { $_->response->status } @waiting], [(204) x 6], 'six at once are let in';
is $op->count('introspect'), $asked + 1, 'by one question';
$op->set(introspect => undef);

# ---- the keys change: what was known by them is forgotten ----

{
    my $rotated = OIDC::Nginx->new(http => $conf);
    $rotated->start;
    $browser = OIDC::Browser->new(base => 'http://localhost:' . $rotated->port('site'));
    my ($verified, $told) = (token(), opaque());
    $op->set(introspect => { set => \%active });
    truth('a server of its own: known', $verified) for 1 .. 2;
    truth('known from the provider', $told);
    my $fetched = $op->count('jwks');
    $op->set(keys => ['rs2'], introspect => { set => { active => JSON::PP::false } });
    truth('the old key still counts', $verified);
    truth('a token of the new key: the keys are fetched again', token(key => 'rs2', header => { kid => 'rs2' }));
    is $op->count('jwks'), $fetched + 1, 'once';
    lie('what the old key has signed is forgotten', $verified);
    lie('and what the provider had said', $told);
    lie('an unknown kid', token(key => 'rs_other', header => { kid => "k$_" })) for 1 .. 3;
    is $op->count('jwks'), $fetched + 1, 'strangers cannot force another fetch within a minute';
    $rotated->stop;
    $op->set(keys => undef, introspect => undef);
}

# ---- mistakes ----

like conf_error("server { auth_oidc_bearer $$_[0]; }"), $$_[1], "auth_oidc_bearer $$_[0]" for
    ['', qr/invalid number of arguments in "auth_oidc_bearer"/], ['yes', qr/invalid value "yes" in "auth_oidc_bearer", it must be "off", "on" or "only"/],
    ['off typ=jwt', qr/invalid parameter "typ=jwt" in "auth_oidc_bearer", nothing may follow "off"/],
    ['on x', qr/invalid parameter "x" in "auth_oidc_bearer", write audience=NAME, typ=jwt, resource=URL or "scope=NAME NAME"/],
    ['on audience=', qr/invalid parameter "audience=" in "auth_oidc_bearer", write audience=NAME/],
    ['on typ=at', qr/invalid parameter "typ=at" in "auth_oidc_bearer", only "typ=jwt" is known/],
    ['on resource=x', qr/invalid parameter "resource=x" in "auth_oidc_bearer", write an URL without query: resource=https:\/\/api\.example\.com\/v1/],
    ['on resource=https://a.example/?x=1', qr/write an URL without query/],
    ['on resource=https://a.example resource=https://b.example', qr/invalid parameter "resource=https:\/\/b\.example" in "auth_oidc_bearer", it is given twice/],
    ['on scope=', qr/invalid parameter "scope=" in "auth_oidc_bearer", name one scope or more/],
    ['on scope=a"b', qr/in "auth_oidc_bearer", a scope has neither quotes nor backslashes/],
    ['on; auth_oidc_bearer off', qr/"auth_oidc_bearer" directive is duplicate/];
like conf_error(provider_conf($op) . 'server { auth_oidc my_idp; location /a { auth_oidc_bearer on resource=https://a.example/x; } location /b { auth_oidc_bearer on resource=https://b.example/x; } }'),
    qr{two resources of "auth_oidc_bearer" have their metadata at "/\.well-known/oauth-protected-resource/x" in this server: give one of them another path}, 'two resources at one path';

done_testing;
