# What each module of the OpenID Foundation's plans for Relying Parties serves, and what it demands of us. One provider block for each
# module, so that each begins without metadata and keys, as the suite has it.

use strict;
use warnings;

use FindBin;
use lib "$FindBin::Bin/lib";

use OIDC::Test;

# The suite's provider: an issuer with a slash behind it, no word of PKCE, no iss in its answers, no expires_in, and keys of every kind.
my @ec = (x => 'WCyw8xNuXQ6yG5Qd3rd9JdSb8Z3rbx9yiNVPYUIZKNI', y => 'lx4mA0nNzhPGc7Xwg9vL9sVd1YjsZNjwQp4C4Hc8rhQ');
my @suite_keys = ('rs', 'rs2', 'es256', 'es256_two', { kty => 'EC', crv => 'secp256k1', kid => 'k1', use => 'sig', @ec }, 'ed',
    { name => 'rs_enc', use => 'enc' }, { name => 'es256_enc', use => 'enc' });
my $op = OIDC::Provider->new(base_path => '/test/a/alias', pkce => 'optional', check_session => 1, metadata => {
    code_challenge_methods_supported => undef, authorization_response_iss_parameter_supported => undef, claims_parameter_supported => JSON::PP::true,
    id_token_signing_alg_values_supported => [qw(none RS256 RS384 PS256 ES256 ES256K EdDSA)], response_modes_supported => [qw(query fragment form_post)],
    subject_types_supported => ['public'], });
my $issuer = $op->issuer . '/';
$op->configure(issuer => $issuer);
$op->set(keys => \@suite_keys, callback => { iss => undef }, token => { drop => ['expires_in'] }, refresh => { drop => ['expires_in'] });

my @names = map { "m$_" } 1 .. 40;
my $common = 'userinfo on; scope openid profile email address phone; logout_uri /%s_logout; post_logout_uri /bye; '
    . 'logout_token_hint on; redirect_uri /%s_cb; login_uri /%s_login; cookie_name %s; backchannel_logout_uri /backchannel; frontchannel_logout_uri /%s_front; '
    . 'session_recheck 1s; session_uri /%s_session;';
my ($ngx, undef, $browser) = site(
    op => $op, provider => 'redirect_uri /main_cb; cookie_name MAIN; login_uri /main_login;',
    http => join('', map { provider_conf($op, name => $_, provider => sprintf($common, ($_) x 6) . (/^m3$/ ? 'response_mode form_post;' : '')) } @names),
    server => join('', map { "location /$_ { auth_oidc $_; try_files /none \@in; }\n" } @names)
        . 'location @in { add_header X-Names "$oidc_claim__claim_names" always; add_header X-Sources "$oidc_claim__claim_sources" always; return 200 "in\n"; } location = /bye { return 200 "bye\n"; }',
);
my @free = @names;
splice @free, 2, 1;    # m3 is for form_post

# A new visitor at a provider of ours that has seen nothing yet. Returns what came of it.
sub module_run {
    my ($knobs, %option) = @_;
    my $name = $option{name} // shift @free;
    my $who = $browser->fresh;
    $op->forget;
    my %all = (%$knobs);
    my $answer = $op->with(%all, sub { $who->login("/$name", until => 'callback') });
    return { who => $who, name => $name, answer => $answer, userinfo => $op->count('userinfo'), in => has_session($who, "/$name") };
}

sub accepts {
    my ($module, @knobs) = @_;
    my $run = module_run({@knobs});
    is $run->{in}, 1, "$module: accepted" or diag $run->{answer}->status . ' ' . $run->{answer}->body;
    is $run->{userinfo}, 1, "$module: UserInfo was asked";
    return $run;
}

sub rejects {
    my ($module, @knobs) = @_;
    my $run = module_run({@knobs});
    is $run->{in}, 0, "$module: nobody is signed in";
    is $run->{userinfo}, 0, "$module: and UserInfo is not asked";
    cmp_ok $run->{answer}->status, '>=', 400, "$module: the browser sees a refusal";
    return $run;
}

# ---- oidcc-client-basic ----

my $first = accepts('oidcc-client-test');
is join(' ', map { $_->{endpoint} } $op->journal), 'discovery authorize token jwks userinfo', 'keys are asked for when there is a token to verify, and before UserInfo';
like $op->last('authorize')->{query}{scope}, qr/\b(?:profile|email|phone|address)\b/, 'scope-userinfo-claims: one of these is asked for';
like $op->last('authorize')->{query}{$_}, qr/^[A-Za-z0-9_-]{43}$/, "$_: 43 characters that a URL may hold" for qw(nonce state);
like $op->last('token')->{headers}{authorization}, qr/^Basic /, 'client-secret-basic';
like $op->last('userinfo')->{headers}{authorization}, qr{^Bearer [A-Za-z0-9_-]+$}, 'userinfo-bearer-header';
is $op->last('userinfo')->{method} . $op->last('userinfo')->{body}, 'GET', 'and nowhere else';
rejects('invalid-iss', claims => { iss => $issuer . '1' });
rejects('an issuer without its slash', claims => { iss => $issuer =~ s{/$}{}r });
rejects('missing-sub', drop => ['sub']);
rejects('invalid-aud', claims => { aud => $op->client_id . '1' });
rejects('missing-aud', drop => ['aud']);
rejects('missing-iat', drop => ['iat']);
rejects('nonce-invalid', claims => { nonce => 'x1' });
my @nameless = map { { name => $_, kid => undef } } qw(rs es256 ed);
accepts('kid-absent-single-jwks', header => { kid => undef }, keys => [@nameless, { kty => 'EC', crv => 'secp256k1', use => 'sig', @ec }, { name => 'rs_enc', use => 'enc' }]);
accepts('kid-absent-multiple-jwks', header => { kid => undef }, keys => [@nameless, { name => 'rs2', kid => undef }]);
accepts('idtoken-sig-rs256', metadata => { id_token_signing_alg_values_supported => ['RS256'] });
rejects('idtoken-sig-none', header => { alg => 'none', kid => undef }, signature => 'empty');
rejects('invalid-sig-rs256', signature => 'garbage');
rejects('invalid-sig-hs256', alg => 'HS256', hmac => 'another secret that is long enough for it');
rejects('invalid-sig-es256', alg => 'ES256', signature => 'garbage');
{
    my $run = module_run({ userinfo => { set => { sub => 'somebody else' } } });
    is $run->{userinfo}, 1, 'userinfo-invalid-sub: UserInfo is asked';
    is $run->{in}, 0, 'and the login is refused';
    cmp_ok $run->{answer}->status, '>=', 400, 'where the user sees it';
}

# ---- claims ----

{
    my %names = (_claim_names => { credit => 'src1' }, _claim_sources => { src1 => { JWT => 'aaaa.bbbb.cccc' } });
    my $run = accepts('aggregated-claims', userinfo => { set => \%names });
    my $page = $run->{who}->get("/$run->{name}");
    is_deeply JSON::PP::decode_json($page->header('X-Names')), $names{_claim_names}, 'passed through as data';
    is_deeply JSON::PP::decode_json($page->header('X-Sources')), $names{_claim_sources}, 'with their sources';
    my %far = (_claim_names => { credit => 'src1' }, _claim_sources => { src1 => { endpoint => $op->plain_origin . '/claims', access_token => 'x' } });
    accepts('distributed-claims', userinfo => { set => \%far });
    is_deeply [map { $_->{path} } $op->journal('unknown')], [], 'nothing is fetched that nobody configured';
}
accepts('userinfo-signed', userinfo => { jwt => 1 });
for my $lie (['another signature', { jwt => { key => 'rs2', header => { kid => 'rs' } } }], ['alg none', { jwt => { header => { alg => 'none' }, signature => 'empty' } }],
             ['another issuer', { jwt => 1, set => { iss => 'https://other.example.com' } }], ['another audience', { jwt => 1, set => { aud => 'other' } }]) {
    my $run = module_run({ userinfo => $lie->[1] });
    is $run->{in}, 0, "userinfo-signed, $lie->[0]: refused";
}

# ---- oidcc-client-formpost-basic and form-post-error ----

{
    my $run = module_run({}, name => 'm3');
    is_deeply [$run->{in}, $run->{userinfo}, $op->last('authorize')->{query}{response_mode}], [1, 1, 'form_post'], 'formpost: signed in';
    my $who = $browser->fresh;
    my $answer = $op->with(callback => { iss => undef, error => 'login_required' }, sub { $who->submit($who->approve($who->begin('/m3'))) });
    is $answer->status, 302, 'form-post-error: login_required begins one fresh login';
    $answer = $op->with(callback => { iss => undef, error => 'login_required' }, sub { $who->submit($who->approve($answer)) });
    is $answer->status, 403, 'and no third one';
}

# ---- oidcc-client-config ----

{
    my $name = shift @free;
    $op->forget;
    $op->with(discovery => { set => { issuer => $issuer . 'INVALID' } }, metadata => { issuer => $issuer . 'INVALID' }, sub {
        is $browser->fresh->get("/$name")->status, 503, 'discovery-issuer-mismatch: the user goes nowhere';
    });
    is $op->count('authorize'), 0, 'least of all to authorize';
}
{
    # An older key set in hand: the keys change just before the ID token is signed.
    my $run = accepts('signing-key-rotation: the first login');
    my $again = module_run({ keys => ['rs_new'], key => 'rs_new' }, name => $run->{name});
    is_deeply [@$again{qw(in userinfo)}], [1, 1], 'signing-key-rotation: the second login with new keys';
    is $op->count('jwks'), 1, 'they were fetched once more';
}

# ---- oidcc-client-test-3rd-party-init-login ----

{
    my $name = shift @free;
    my $who = $browser->fresh;
    my $begun = $who->begin("/${name}_login?iss=$issuer");
    like $begun->location, qr{^\Q$issuer\Eauthorize\?}, '3rd-party-init-login: by an iss as it is written, slash and all';
    is $who->open_callback($who->approve($begun)->location)->location, $who->resolve('/'), 'to the front page';
    is has_session($who, "/$name"), 1, 'signed in';
}

# ---- logout plans ----

sub signed_in {
    my $name = $first->{name};
    my $who = $browser->fresh;
    $op->with(claims => { sid => $_[0] // 'sid+|&<[1' }, sub { $who->login("/$name") });
    return ($who, $name);
}
for my $case (['rp-init-logout', sub { $_[0] }, qr/^$/], ['rp-init-logout-other-state', sub { $_[0] . '_INVALID' }, qr/is not the one that was sent/], ['rp-init-logout-no-state', sub { undef }, qr/is not the one/]) {
    my ($module, $state, $said) = @$case;
    my ($who, $name) = signed_in();
    my $mark = length $ngx->error_log;
    my $out = $who->get("/${name}_logout");
    is scalar(split /\./, $out->query->{id_token_hint}), 3, "$module: id_token_hint";
    is $out->query->{post_logout_redirect_uri}, $who->resolve('/bye'), "$module: post_logout_redirect_uri";
    my $sent = $out->query->{state};
    my $back = $state->($sent);
    is $who->get('/bye' . (defined $back ? "?state=$back" : ''), site => 'cross-site')->status, 200, "$module: the page after it";
    is has_session($who, "/$name"), 0, "$module: signed out";
    like substr($ngx->error_log, $mark) =~ /state that came back/ ? substr($ngx->error_log, $mark) : '', $said, "$module: the state is compared";
    # The provider calls back while it handles the request: the session is gone by then.
    my $token = $op->logout_token(sid => 'sid+|&<[1', sub => 'alice', extra => 'ignored');
    secret($token);
    my $called = $browser->fresh->request('POST', '/backchannel', kind => 'none', body => form_encode([[ignored => 'yes'], [logout_token => $token]]), headers => { 'Content-Type' => 'application/x-www-form-urlencoded' });
    is $called->status, 200, 'rp-backchannel-rpinitlogout: 200';
    is $called->header('Cache-Control'), 'no-store', 'no-store';
}
for my $case (['alg-none', how => { header => { typ => 'logout+jwt', alg => 'none', kid => undef }, signature => 'empty' }], ['no-event', events => undef], ['with-nonce', nonce => 'x'],
              ['wrong-alg', how => { alg => 'ES256' }], ['wrong-aud', aud => $op->client_id . 'INVALID'], ['wrong-iss', iss => $issuer . 'INVALID'],
              ['wrong-event', events => { 'http://schemas.openid.net/event/other' => {} }]) {
    my ($module, %claims) = @$case;
    my ($who, $name) = signed_in('sid-9');
    my $token = $op->logout_token(sid => 'sid-9', sub => 'alice', %claims);
    secret($token);
    my $called = $browser->fresh->request('POST', '/backchannel', kind => 'none', body => form_encode([[logout_token => $token]]), headers => { 'Content-Type' => 'application/x-www-form-urlencoded' });
    is $called->status, 400, "rp-backchannel-rpinitlogout-$module: 400";
    is $called->header('Cache-Control'), 'no-store', 'no-store';
    is has_session($who, "/$name"), 1, 'and nobody is signed out';
}
{
    # The suite's page escapes the address twice, and does not encode the sid.
    my ($who, $name) = signed_in();
    my $frame = $browser->fresh->get("/${name}_front?iss=$issuer&amp;sid=sid+|&<[1", kind => 'iframe');
    is $frame->status, 200, 'rp-frontchannel-rpinitlogout: 200 for a garbled query';
    is $frame->header('Cache-Control'), 'no-store', 'no-store';
    is $browser->fresh->get("/${name}_front?" . form_encode([[iss => $issuer], [sid => 'sid+|&<[1']]), kind => 'iframe')->status, 200, 'and for a clean one';
    is has_session($who, "/$name"), 0, 'which signs out';
    ($who, $name) = signed_in();
    $op->with(callback => { iss => undef }, sub { like $who->get("/${name}_session?frame")->body, qr/data-state="hash\.salt"/, 'session-management: there is a frame' });
}

# ---- oidcc-client-refreshtoken ----

# A session whose claims are a second old is renewed at the next request; what comes of it.
sub refreshed {
    my (@knobs) = @_;
    my ($who, $name) = signed_in();
    $op->forget;
    $op->with(@knobs, sub { OIDC::Nginx::wait_until(sub { $who->get("/$name"); $op->count('refresh') }) }) or die "no refresh\n";
    return ($who, $name);
}
{
    my ($who, $name) = refreshed();
    is $op->count('userinfo'), 1, 'refresh-token: UserInfo is asked behind it';
    is $op->last('userinfo')->{refused}, undef, 'with the new token';
    is has_session($who, "/$name"), 1, 'and the session goes on';
    ($who, $name) = refreshed(claims => { iss => $issuer . '1' });
    is $op->count('userinfo'), 0, 'refresh-token-invalid-issuer: no UserInfo';
    ok $ngx->wait_log(qr/refresh .*id_token_iss|rule id_token_iss/), 'by that rule';
    ($who, $name) = refreshed(claims => { sub => 'alice1' });
    is $op->count('userinfo'), 0, 'refresh-token-invalid-sub: no UserInfo';
    is has_session($who, "/$name"), 0, 'and the session has ended';
}
my $odd = 'a b%&+=/#"\\~';
secret($odd);
$op->set(token => { drop => ['expires_in'], set => { refresh_token => $odd } });
refreshed();
is $op->last('refresh')->{form}{refresh_token}, $odd, 'refresh-token: one with punctuation arrives as it is';

is_deeply [grep { !/^refresh: / } $op->refused], [], 'the provider saw no wrong request';

done_testing;
