# Every rule for an ID token (C 3.1.3.7 and stricter), through the whole module: each lie of the provider is refused with
# 502 and leaves no session; each odd but honest token lets its user in.

use strict;
use warnings;

use FindBin;
use lib "$FindBin::Bin/lib";

use MIME::Base64 qw(encode_base64url);
use JSON::PP ();
use OIDC::Test;

# One provider in the metadata's sense, seen through many blocks: each block has its own copy of the keys, and its own rules.
my %rules = (
    plain    => '',
    asks_acr => 'acr_values "gold silver";',
    acr_list => 'acr_values gold silver;',
    asks_age => 'max_age 300s;',
    no_skew  => 'clock_skew 0;',
    hmac     => 'id_token_signing_algs HS256 HS512;',
    one_alg  => 'id_token_signing_algs ES256;',
    (map { ("keys_$_" => '') } 1 .. 30),
);
my $op = OIDC::Provider->new(algs => [qw(RS256 ES256 EdDSA)]);
my $conf = $op->tls_front . join '', map { provider_conf($op, name => $_, provider => "redirect_uri /back_$_; cookie_name SESSION_$_; $rules{$_}") } sort keys %rules;
$conf .= "server { listen 127.0.0.1:%%PORT_site%%; server_name localhost; location / { return 404; }\n";
$conf .= join '', map { "location /$_ { auth_oidc $_; add_header X-Sub \$oidc_claim_sub; try_files /none =204; }\n" } sort keys %rules;
my ($ngx, undef, $browser) = site(op => $op, conf => "$conf}");

my $number = 0;
sub fresh_keys { return 'keys_' . ++$number }

sub attempt {
    my ($rules, %knobs) = @_;
    my $who = $browser->fresh;
    my $answer = $op->with(%knobs, sub { $who->login("/$rules", until => 'callback') });
    return ($answer, $who);
}

# Refused: 502 (or the status given), an error in the log with the rule, no cookie, not let in.
sub lie {
    my ($name, $rules, %knobs) = @_;
    my $status = delete $knobs{expect} // 502;
    my ($answer, $who) = attempt($rules, %knobs);
    my @sessions = grep { /^SESSION_/ } map { $_->{name} } $who->cookies->all;
    is_deeply [$answer->status, @sessions], [$status], "refused: $name";
}

sub truth {
    my ($name, $rules, %knobs) = @_;
    my ($answer, $who) = attempt($rules, %knobs);
    my $page = $who->get("/$rules");
    is_deeply [$answer->status =~ /^30[23]$/ ? 'redirect' : $answer->status, $page->status], ['redirect', 204], "accepted: $name"
        or diag join "\n", grep { /\[error\]/ } (split /\n/, $ngx->error_log)[-5 .. -1];
    return $page;
}

my $now = time;
truth('an honest token', 'plain');

# ---- form (RFC 7515 3 and 5.2, RFC 7519 7.2) ----

lie('not there', 'plain', id_token => undef);
lie("literally \"$_\"", 'plain', id_token => $_) for '', '.', '..', 'a.b.c', 'null', 'eyJhbGciOiJSUzI1NiJ9..', '....';
lie("mangled: $_", 'plain', mangle => $_)
    for qw(pad_header pad_payload pad_signature blank newline two_parts four_parts five_parts unused_bits std_alphabet);
lie('larger than 32 KB', 'plain', claims => { pad => 'x' x 32_000 });
truth('20 KB', 'plain', claims => { pad => 'x' x 15_000 });
lie("header $_", 'plain', header_text => $_) for '', 'null', '[]', '"RS256"', '{"alg":"RS256"', '{"alg":"RS256"}x', '{"alg":"RS256","kid":"rs","alg":"RS256"}';
lie("claims $_", 'plain', payload => $_) for '', 'null', '[]', '{}', '"x"', '{"iss":', "{}\0";
lie('a claim twice', 'plain', append => '"sub":"mallory"');
lie('a claim twice deep inside', 'plain', json => { address => '{"a":1,"a":2}' });
lie('the header has a member twice', 'plain', header_append => '"alg":"RS256"');
lie('nested 17 deep', 'plain', json => { deep => ('[' x 17) . (']' x 17) });
truth('nested 10 deep', 'plain', json => { deep => ('[' x 10) . (']' x 10) });
lie('a text that is no UTF-8', 'plain', json => { name => "\"\\ud800\"" });
lie('crit unknown', 'plain', header => { crit => ['x'], x => 1 });
lie('crit b64', 'plain', header => { crit => ['b64'], b64 => JSON::PP::false });
lie('crit empty', 'plain', header => { crit => [] });

# ---- alg ----

lie("alg $_", 'plain', header => { alg => $_ }) for qw(None nOnE RS256x rs256 RS1 HS256 RSA-OAEP), '';
lie('alg none without a signature', 'plain', header => { alg => 'none' }, signature => 'empty');
lie('alg none without kid', 'plain', header => { alg => 'none', kid => undef }, signature => 'empty');
lie('alg none with a signature', 'plain', header => { alg => 'none' });
lie('alg missing', 'plain', header => { alg => undef });
lie('alg a number', 'plain', header_json => { alg => '256' });
lie('alg a list', 'plain', header_json => { alg => '["RS256"]' });
lie('RS512, which the metadata does not list', 'plain', alg => 'RS512');
lie('PS256, which the metadata does not list', 'plain', alg => 'PS256');
lie('RS256 written over PS256', 'plain', alg => 'PS256', header => { alg => 'RS256' });
lie('ES256 written over RS256, with the RSA key', 'plain', header => { alg => 'ES256' });
lie('RS256 with the key of ES256', 'plain', header => { kid => 'es256' });
lie('HS256 with the client secret, not configured', 'plain', alg => 'HS256');
lie('HS256 with the public key as secret', 'plain', alg => 'HS256', hmac => 'public_key', header => { kid => 'rs' });
truth("signed with $_", 'plain', alg => $_) for qw(ES256 EdDSA);
truth('only ES256 configured, and signed so', 'one_alg', alg => 'ES256');
lie('only ES256 configured, signed with RS256', 'one_alg');
truth("$_ configured", 'hmac', alg => $_) for qw(HS256 HS512);
lie('HS256 configured, signed with RS256', 'hmac');
lie('HS256 configured, with another secret', 'hmac', alg => 'HS256', hmac => 'not the secret but as long as it should be');
lie('HS256 configured, with the public key as secret', 'hmac', alg => 'HS256', hmac => 'public_key');
lie('HS384, which is not configured', 'hmac', alg => 'HS384');

# ---- signature ----

lie('signature garbage', 'plain', signature => 'garbage');
lie('signature empty', 'plain', signature => 'empty');
lie('signature of one byte', 'plain', signature => 'x');
lie('signed by another key under this kid', 'plain', key => 'rs_other', header => { kid => 'rs' });
lie('signed by another key without kid', 'plain', key => 'rs_other', header => { kid => undef });
lie('ES256 signature of zeros', 'plain', alg => 'ES256', signature => "\0" x 64);
lie('ES256 signature too short', 'plain', alg => 'ES256', signature => "\1" x 63);
{
    my $own = OIDC::Provider::Keys->new($op->dir)->jwk('rs_other');
    lie('a key of its own in the header', 'plain', key => 'rs_other', header => { kid => undef, jwk => $own });
    lie('the address of its own keys in the header', 'plain', key => 'rs_other', header => { kid => undef, jku => $op->plain_origin . '/jwks' });
    lie('a certificate of its own in the header', 'plain', key => 'rs_other', header => { kid => undef, x5c => ['MIIB'] });
}

# ---- key (RFC 7517 4) ----

sub published { my (@keys) = @_; return (keys => [@keys]) }
sub changed { my (%member) = @_; return { name => 'rs', %member } }

truth('no kid, one key of three fits', fresh_keys(), published('es256', 'rs2', 'rs'), header => { kid => undef });
truth('no kid in the keys either', fresh_keys(), published(changed(kid => undef)), header => { kid => undef });
truth('the eighth fitting key', fresh_keys(), published((map { { name => 'rs2', kid => "k$_" } } 1 .. 7), 'rs'), header => { kid => undef });
lie('the ninth fitting key', fresh_keys(), published((map { { name => 'rs2', kid => "k$_" } } 1 .. 8), 'rs'), header => { kid => undef });
truth('a kid twice, one of them right', fresh_keys(), published({ name => 'rs2', kid => 'rs' }, 'rs'));
truth('unknown members and kinds of keys beside it', fresh_keys(), published({ kty => 'AKP', kid => 'rs', alg => 'X', pub => 'x' }, changed(x => 1)));
truth('use absent', fresh_keys(), published(changed(use => undef)));
lie('use enc', fresh_keys(), published(changed(use => 'enc')));
truth('key_ops verify', fresh_keys(), published(changed(use => undef, key_ops => ['verify'])));
lie('key_ops encrypt', fresh_keys(), published(changed(use => undef, key_ops => ['encrypt'])));
truth('alg of the key RS256', fresh_keys(), published(changed(alg => 'RS256')));
lie('alg of the key RS512', fresh_keys(), published(changed(alg => 'RS512')));
lie('RSA of 1,024 bits', fresh_keys(), published('rs1024'), key => 'rs1024');
lie('a symmetric key published', fresh_keys(), published({ kty => 'oct', kid => 'rs', k => encode_base64url('x' x 64) }), alg => 'HS256', hmac => 'x' x 64, header => { kid => 'rs' });
lie('no key at all', fresh_keys(), published());

# ---- rotation: one re-fetch, and a brake ----
{
    my $rules = fresh_keys();
    truth('before the rotation', $rules);
    my $fetched = $op->count('jwks');
    my @new = (published('rs2'), key => 'rs2');
    truth('a new kid: the keys are fetched again', $rules, @new);
    is $op->count('jwks'), $fetched + 1, 'once';
    lie('another unknown kid at once', $rules, key => 'rs_other');
    is $op->count('jwks'), $fetched + 1, 'within 10 seconds no second fetch';
    truth('the known keys go on', $rules, @new);
}
{
    my $rules = fresh_keys();
    truth('a key under its kid', $rules);
    truth('another key under the same kid: a failed signature fetches the keys again', $rules, published({ name => 'rs2', kid => 'rs' }), key => 'rs2', header => { kid => 'rs' });
}
{
    my $rules = fresh_keys();
    truth('keys are there', $rules);
    lie('the re-fetch fails', $rules, key => 'rs_other', jwks => { status => 500 });
    truth('the old keys stay', $rules);
}

# ---- iss, aud, azp ----

my ($me, $issuer) = ($op->client_id, $op->issuer);
lie('iss missing', 'plain', drop => ['iss']);
lie("iss $_", 'plain', claims => { iss => $_ }) for "$issuer/", uc $issuer, 'https://evil.example', "$issuer ", '';
lie('iss a list', 'plain', claims => { iss => [$issuer] });
lie('aud missing', 'plain', drop => ['aud']);
lie('aud of somebody else', 'plain', claims => { aud => $_ }) for 'other', "${me}x", uc $me, '', "$me ";
lie('aud an empty list', 'plain', claims => { aud => [] });
lie('aud a list without us', 'plain', claims => { aud => [qw(a b)], azp => $me });
lie('aud an object', 'plain', claims => { aud => { $me => 1 } });
lie('aud a list with a number', 'plain', claims => { aud => [$me, 1], azp => $me });
truth('aud a list of us', 'plain', claims => { aud => [$me] });
truth('several audiences with azp', 'plain', claims => { aud => ['other', $me], azp => $me });
lie('several audiences without azp', 'plain', claims => { aud => ['other', $me] });
lie('several audiences, azp somebody else', 'plain', claims => { aud => ['other', $me], azp => 'other' });
truth('azp is us', 'plain', claims => { azp => $me });
lie('azp is somebody else', 'plain', claims => { azp => 'other' });
lie('azp no text', 'plain', json => { azp => '1' });

# ---- times ----

for my $claim (qw(exp iat)) {
    lie("$claim missing", 'plain', drop => [$claim]);
    lie("$claim is $_", 'plain', json => { $claim => $_ }) for 'null', '""', "\"$now\"", '[]', 'true';
    lie("$claim too large for a number", 'plain', json => { $claim => '1e999' });
}
lie('exp over', 'plain', claims => { exp => $now - 120 });
truth('exp over by less than the skew', 'plain', claims => { exp => $now - 20 });
lie('exp over, and no skew', 'no_skew', claims => { exp => $now - 20 });
lie("exp $_", 'plain', json => { exp => $_ }) for '0', '-1', '-9223372036854775808', '-1e300', '0.5';
truth('exp with a fraction', 'plain', json => { exp => $now + 3600 . '.5' });
truth('exp as 1e10', 'plain', json => { exp => '1e10' });
truth('exp after 2038', 'plain', claims => { exp => 4_102_444_800 });
truth('exp after 2106', 'plain', claims => { exp => 7_258_118_400 });
lie('iat in the future', 'plain', claims => { iat => $now + 300 });
truth('iat in the future by less than the skew', 'plain', claims => { iat => $now + 20 });
lie('iat after 2106', 'plain', claims => { iat => 4_294_967_296 + $now });
lie('iat 1e300', 'plain', json => { iat => '1e300' });
lie('nbf not reached', 'plain', claims => { nbf => $now + 300 });
lie('nbf no number', 'plain', claims => { nbf => 'now' });
truth('nbf reached', 'plain', claims => { nbf => $now });
truth('nbf not reached by less than the skew', 'plain', claims => { nbf => $now + 20 });

# ---- nonce, at_hash, c_hash ----

lie('nonce missing', 'plain', drop => ['nonce']);
lie('nonce of another login', 'plain', claims => { nonce => random_token() });
lie('nonce empty', 'plain', claims => { nonce => '' });
lie('nonce no text', 'plain', json => { nonce => '1' });
truth('at_hash absent', 'plain', drop => ['at_hash']);
lie('at_hash of another token', 'plain', claims => { at_hash => encode_base64url('x' x 16) });
lie('at_hash empty', 'plain', claims => { at_hash => '' });
lie('at_hash no text', 'plain', json => { at_hash => '1' });
lie('at_hash whose token was exchanged', 'plain', token => { set => { access_token => random_token() } });
truth('c_hash of the code', 'plain', claims => { c_hash => '%%C_HASH%%' });
lie('c_hash of another code', 'plain', claims => { c_hash => encode_base64url('x' x 16) });

# ---- auth_time, acr ----

truth('max_age: a fresh sign-in', 'asks_age');
is $op->last('authorize')->{query}{max_age}, 300, 'max_age is sent';
lie('max_age: auth_time missing', 'asks_age', drop => ['auth_time']);
lie('max_age: auth_time too long ago', 'asks_age', claims => { auth_time => $now - 500 });
lie('max_age: auth_time no number', 'asks_age', claims => { auth_time => 'now' });
lie('max_age: auth_time in the future', 'asks_age', claims => { auth_time => $now + 500 });
truth('without max_age auth_time may be long ago', 'plain', claims => { auth_time => $now - 90_000 });
truth('acr among those configured', 'asks_acr', claims => { acr => 'silver' });
is $op->last('authorize')->{query}{acr_values}, 'gold silver', 'acr_values are sent';
truth('acr among those configured one by one', 'acr_list', claims => { acr => 'silver' });
lie('acr missing: 403', 'asks_acr', expect => 403);
lie('acr another: 403', 'asks_acr', claims => { acr => 'bronze' }, expect => 403);
lie('acr all of them as one text: 403', 'asks_acr', claims => { acr => 'gold silver' }, expect => 403);

# ---- sub ----

lie('sub missing', 'plain', drop => ['sub']);
lie('sub empty', 'plain', claims => { sub => '' });
lie('sub a number', 'plain', json => { sub => '1' });
lie('sub of 256 characters', 'plain', claims => { sub => 'x' x 256 });
truth('sub of 255 characters', 'plain', claims => { sub => 'x' x 255 });
lie("sub with $_", 'plain', json => { sub => "\"a${_}b\"" }) for '\\u0000', '\\n', '\\u001f', '\\u007f';
is truth('sub with other characters', 'plain', claims => { sub => 'a|b c@d' })->header('X-Sub'), 'a|b c@d', 'reaches the site as it is';

# ---- and at the end ----

is_deeply [$op->refused], [], 'the provider saw no wrong request';
ok !(grep { /\[error\]/ && /SESSION_/ } split /\n/, $ngx->error_log), 'no cookie in an error line';
is scalar(grep { /id_token/ && /\[error\]/ } split /\n/, $ngx->error_log) > 50, 1, 'the log names the rule';
truth('after all lies an honest login', 'plain');

done_testing;
