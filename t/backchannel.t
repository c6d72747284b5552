# Back-Channel Logout 1.0: each bad token is refused by its own rule, a good one ends what it names and nothing else.

use strict;
use warnings;

use FindBin;
use lib "$FindBin::Bin/lib";

use OIDC::Test;

my $op = OIDC::Provider->new;
# Two clients of one issuer share the path.
my $second = provider_conf($op, name => 'second', provider => 'redirect_uri /second_callback; cookie_name SECOND; backchannel_logout_uri /backchannel;')
    =~ s/client_id [^;]*/client_id second-app/r;
# A provider that can sign in two ways, and does in one.
my $both = OIDC::Provider->new(tls => 0, metadata => { id_token_signing_alg_values_supported => [qw(RS256 ES256)] });
$both->set(keys => ['rs', 'es256']);
my ($ngx, undef, $browser) = site(op => $op, nginx => { workers => 2 }, provider => 'backchannel_logout_uri /backchannel;',
    http => $second . provider_conf($both, name => 'both', provider => 'redirect_uri /both_callback; cookie_name BOTH; backchannel_logout_uri /both_backchannel;'),
    server => 'location /both { auth_oidc both; try_files /none @in; } location /second { auth_oidc second; try_files /none @in; } location @in { return 200 "in\n"; }');
my $event = 'http://schemas.openid.net/event/backchannel-logout';
my %form = (headers => { 'Content-Type' => 'application/x-www-form-urlencoded' });

sub send_token {
    my ($token, %option) = @_;
    secret($token);
    return $browser->fresh->request('POST', delete $option{path} // '/backchannel', kind => 'none', body => form_encode([['logout_token', $token]]), %form, %option);
}

# A new visitor who signs in as this user, in a session of the provider's own.
sub visitor {
    my ($sub, $sid) = @_;
    my $who = $browser->fresh;
    $op->with(claims => { sub => $sub, sid => $sid }, sub { $who->login('/app') });
    ok has_session($who), "$sub is signed in";
    return $who;
}

my $alice = visitor('alice', 'sid-1');
my $other = visitor('alice', 'sid-2');
my $bob = visitor('bob', 'sid-3');

# By the rule that refuses it: every other one is content with the token.
my %bad = (
    iss => [['another issuer', iss => 'https://other.example.com'], ['no issuer', iss => undef]],
    aud => [['another audience', aud => 'other'], ['no audience', aud => undef], ['aud is a number', aud => 5]],
    iat => [['iat is missing', iat => undef], ['iat is a text', iat => 'now'], ['iat is old', iat => time - 1000],
        ['iat is in the future', iat => time + 1000], ['iat is negative', iat => -1]],
    exp => [['expired', exp => time - 1000], ['exp is a text', exp => 'later']],
    nbf => [['not yet', nbf => time + 1000], ['nbf is a text', nbf => 'soon']],
    jti => [['no jti', jti => undef], ['an empty jti', jti => ''], ['jti is a number', jti => 5]],
    events => [['no events', events => undef], ['events is a text', events => $event], ['another event', events => { other => {} }],
        ['the event is a text', events => { $event => 'yes' }]],
    nonce => [['a nonce', nonce => 'x'], ['an empty nonce', nonce => '']],
    subject => [['neither sid nor sub', sid => undef], ['sid is empty', sid => ''], ['sid is a number', sid => 7], ['sub is an array', sub => ['alice']]],
    typ => [['typ of an ID token', how => { header => { typ => 'id+jwt' } }], ['typ of an access token', how => { header => { typ => 'at+jwt' } }]],
    jws_alg => [['alg none', how => { header => { typ => 'logout+jwt', alg => 'none' } }], ['an alg that is not offered', how => { alg => 'ES256' }],
        ['HS256 with the client secret', how => { alg => 'HS256' }]],
    jws_header => [['crit', how => { header => { typ => 'logout+jwt', crit => ['x'] } }]],
    jws_signature => [['signed by another key', how => { key => 'rs2', header => { kid => 'rs' } }], ['a signature of nothing', how => { signature => 'garbage' }]],
);
for my $rule (sort keys %bad) {
    for my $bad (@{ $bad{$rule} }) {
        my ($name, %claims) = @$bad;
        my $mark = length $ngx->error_log;
        my $answer = send_token($op->logout_token(sid => 'sid-1', %claims));
        is $answer->status, 400, "$name: 400";
        is $answer->header('Cache-Control'), 'no-store', "$name: no-store";
        my $full = $rule =~ /^jws/ ? $rule : "logout_token_$rule";
        ok $ngx->wait_log(qr/back-channel logout refused, provider "\w+", rule $full: /, $mark), "$name: by its own rule";
    }
}
is send_token('not.a.token')->status, 400, 'no token at all';
is send_token('x' x 40_000)->status, 400, 'too long a token';
is $browser->fresh->request('POST', '/backchannel', kind => 'none', body => 'logout_token=a&logout_token=b', %form)->status, 400, 'two tokens';
is $browser->fresh->request('POST', '/backchannel', kind => 'none', body => 'other=a', %form)->status, 400, 'none';
is $browser->fresh->request('POST', '/backchannel', kind => 'none', body => '{}', headers => { 'Content-Type' => 'application/json' })->status,
    400, 'no form';
is get('/backchannel')->status, 405, 'GET';
ok has_session($_), 'nobody was signed out by any of these' for $alice, $other, $bob;

my $good = $op->logout_token(sid => 'sid-1');
my $answer = send_token($good);
is $answer->status, 200, 'a good token';
is $answer->header('Cache-Control'), 'no-store', 'no-store';
ok !has_session($alice), 'ends the session with that sid';
ok has_session($_), 'and no other' for $other, $bob;
is send_token($good)->status, 400, 'the same token again';
is send_token($op->logout_token(sid => 'unknown'))->status, 200, 'an unknown sid';
is send_token($op->logout_token(sid => 'sid-1'))->status, 200, 'a session that is gone already';

my $third = visitor('alice', 'sid-4');
is send_token($op->logout_token(sub => 'alice', how => { header => { typ => 'JWT' } }))->status, 200, 'by sub, with typ JWT';
ok !has_session($_), 'ends all of that user' for $other, $third;
ok has_session($bob), 'and nobody else';
is send_token($op->logout_token(sid => 'sid-3', sub => 'bob', how => { header => {} }))->status, 200, 'without a typ';
ok !has_session($bob), 'ends it';
{
    my ($mine, $theirs) = (visitor('carol', 'sid-5'), $browser->fresh);
    $op->configure(client_id => 'second-app');
    $op->with(claims => { sub => 'carol', sid => 'sid-5' }, sub { $theirs->login('/second') });
    is $theirs->get('/second')->status, 200, 'the same user at the second client';
    is send_token($op->logout_token(sub => 'carol'))->status, 200, 'a token for the second client';
    is $theirs->get('/second')->status, 302, 'ends the session there';
    ok has_session($mine), 'and not that of the first one';
    is send_token($op->logout_token(sub => 'carol', aud => ['x', 'web-app:1']))->status, 200, 'and the other way round';
    ok !has_session($mine), 'the audience says whose session it is';
}
unlike $ngx->access_log . $ngx->error_log, qr/logout_token=/, 'no log has a token';

# ---- one algorithm for both kinds of token (section 2.6) ----

{
    my $ended = sub {
        my (%how) = @_;
        my $who = $browser->fresh;
        $both->with(claims => { sid => 'sid-both' }, %how, sub { $who->login('/both') });
        ok has_session($who, '/both'), 'signed in';
        return sub { send_token($_[0], path => '/both_backchannel')->status . has_session($who, '/both') };
    };
    my $es256 = sub { $both->logout_token(sid => 'sid-both', how => { alg => 'ES256', @_ }) };
    my $answer = $ended->();
    is $answer->($es256->()), '4001', 'a logout token of an algorithm that its ID tokens do not have is refused in all workers' for 1 .. 4;
    ok $ngx->wait_log(qr/rule logout_token_alg: expected "RS256", found "ES256"/), 'with a line that names both';
    is $answer->($both->logout_token(sid => 'sid-both')), '2000', 'one of theirs is not';
    is $ended->(alg => 'ES256')->($es256->()), '2000', 'after an ID token of another algorithm, that one counts';
    {
        my $who = $browser->fresh;
        my %claims = (claims => { sid => 'sid-both' });
        $both->configure(expires_in => 30);
        $both->with(%claims, sub { $who->login('/both', until => 'callback') });
        $both->configure(expires_in => 3600);
        $both->forget;
        $both->with(%claims, alg => 'ES256', sub { ok has_session($who, '/both'), 'a session goes on' });
        is $both->count('refresh'), 1, 'after a refresh';
        is send_token($es256->(), path => '/both_backchannel')->status, 200, 'and the ID token that came with it counts';
        ok !has_session($who, '/both'), 'for all of its sessions';
    }
    $answer = $ended->();
    $both->with(keys => ['rs', 'es256_new'], sub {
        is $answer->($es256->(key => 'es256_new')), '2000', 'after a change of keys any that the provider offers';
    });
}

done_testing;
