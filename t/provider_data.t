# Metadata and keys of a provider: fetched once for all, waiters woken in any case, lies refused, nothing depends on the
# provider once somebody is signed in.

use strict;
use warnings;

use FindBin;
use lib "$FindBin::Bin/lib";

use OIDC::Test;

# The provider's knob decides about every block alike; blocks count as providers of their own, each with its own copy of the data.
my $op = OIDC::Provider->new;
my $blocks = 60;
my $number = 0;

sub conf {
    my ($provider, %option) = @_;
    my $with = $option{provider} // '';
    my $text = $provider->tls_front . join '', map { provider_conf($provider, name => "p$_", provider => "redirect_uri /back_$_; cookie_name SESSION_$_; $with") } 1 .. $blocks;
    $text .= "server { listen 127.0.0.1:%%PORT_site%%; server_name localhost; add_header X-Worker \$pid always; location = /open { return 204; }\n";
    $text .= join '', map { "location /p$_/ { auth_oidc p$_; try_files /none =204; }\n" } 1 .. $blocks;
    return "$text}";
}

my ($ngx, undef, $browser) = site(op => $op, conf => conf($op), nginx => { workers => 2 });
sub fresh { die "too few blocks\n" if $number == $blocks; return '/p' . ++$number . '/' }
sub begins { my ($answer) = @_; return $answer->is_redirect && $answer->location =~ m{^\Q@{[$op->issuer]}\E/authorize\?} ? 1 : 0 }

# ---- at first use, once for all workers ----

is_deeply [$op->journal], [], 'nothing is fetched before somebody asks';
is $browser->get('/open')->status, 204, 'an open page';
is_deeply [$op->journal], [], 'does not ask';
{
    my $path = fresh();
    my %seen;
    OIDC::Nginx::wait_until(sub {
        my $answer = $browser->fresh->get($path);
        begins($answer) or die 'no login begins: ' . $answer->status . "\n";
        $seen{ $answer->header('X-Worker') } = 1;
        return keys %seen == 2;
    });
    is keys %seen, 2, 'both workers have answered';
    is $op->count('discovery'), 1, 'metadata was fetched once';
    is $op->count('jwks'), 0, 'keys are not, as long as there is no token to verify';
    is $browser->fresh->login($path)->status, 204, 'a login works';
    is $browser->fresh->login($path)->status, 204, 'another too' for 1 .. 3;
    is_deeply [map { $op->count($_) } qw(discovery jwks)], [1, 1], 'with metadata and keys fetched once';
}

# ---- many wait for one fetch ----

for my $case (['good', {}, 302], ['bad', { status => 500 }, 503]) {
    my ($name, $knob, $status) = @$case;
    my $path = fresh();
    my $before = $op->count('discovery');
    $op->hold('discovery');
    my @waiting = map { $browser->fresh->send('GET', $path) } 1 .. 20;
    $op->wait_held('discovery');
    is $browser->get('/open')->status, 204, "a $name fetch: others are served meanwhile";
    $op->with(discovery => $knob, sub { $op->release('discovery') });
    my @answers = map { $_->response } @waiting;
    is_deeply [map { $_->status } @answers], [($status) x 20], "a $name fetch: all 20 waiters are woken";
    is $op->count('discovery') - $before, 1, "a $name fetch: one for all";
}
{
    my $path = fresh();
    $op->hold('discovery');
    my $leaver = $browser->fresh->send('GET', $path);
    $op->wait_held('discovery');
    my $before = $op->count('discovery');
    $leaver->close;
    my $stayer = $browser->fresh->send('GET', $path);
    $op->release('discovery');
    is begins($stayer->response), 1, 'the one who asked first went away: the fetch belongs to all';
    is $op->count('discovery'), $before, 'and is not begun anew';
}

# ---- what a provider says of how long its data is good is held within bounds ----
for my $wish ('no-store', 'max-age=0', 'no-cache, must-revalidate', 'max-age=1, private') {
    my $path = fresh();
    my %headers = (headers => { 'Cache-Control' => $wish, Expires => 'Thu, 01 Jan 1970 00:00:00 GMT', Age => 1000 });
    my @before = map { $op->count($_) } qw(discovery jwks);
    $op->with(discovery => {%headers}, jwks => {%headers}, sub { $browser->fresh->login($path)->status == 204 or die 'no login' for 1 .. 6 });
    is_deeply [map { $op->count($_) } qw(discovery jwks)], [map { $_ + 1 } @before], "Cache-Control $wish: one fetch serves for some minutes";
}

# ---- no data at all ----
{
    my $path = fresh();
    my $before = $op->count('discovery');
    my @answers = $op->with(discovery => { status => 500 }, sub { map { $browser->fresh->get($path) } 1 .. 8 });
    is_deeply [map { $_->status } @answers], [(503) x 8], 'no data: 503';
    like $answers[0]->header('Retry-After') // '', qr/^(?:[1-9]|[12]\d|30)$/, 'with Retry-After of 1 to 30 seconds';
    like $answers[0]->header('Content-Type'), qr{^text/html}, 'and a page';
    ok $op->count('discovery') - $before < 8, 'the back-off spares the provider';
    ok OIDC::Nginx::wait_until(sub { begins($browser->fresh->get($path)) }, 60), 'and ends by itself';
}
{
    my $path = fresh();
    $op->down;
    is $browser->fresh->get($path)->status, 503, 'a provider that is away: 503';
    is $browser->get('/open')->status, 204, 'nobody else notices';
    $op->up;
    ok OIDC::Nginx::wait_until(sub { begins($browser->fresh->get($path)) }, 60), 'back again: a login begins';
}

# ---- sessions do not depend on the provider ----
{
    my $path = fresh();
    my $who = $browser->fresh;
    is $who->login($path)->status, 204, 'signed in';
    my $before = $op->count('discovery') + $op->count('jwks');
    $op->down;
    is $who->get($path)->status, 204, 'the provider goes away: the session goes on';
    is begins($browser->fresh->get($path)), 1, 'and the copy serves new logins';
    ok $ngx->reload, 'reload';
    is $who->get($path)->status, 204, 'also after a reload';
    is begins($browser->fresh->get($path)), 1, 'with the copy';
    $ngx->kill_worker;
    is $who->get($path)->status, 204, 'and when a worker was killed';
    $op->up;
    is $op->count('discovery') + $op->count('jwks'), $before, 'nothing was fetched again';
}

# ---- metadata that lies (D 3, 4.3) ----

my $issuer = $op->issuer;
my $plain = $op->plain_origin;
my @lies = (
    ['issuer of somebody else',            metadata => { issuer => 'https://evil.example' }],
    ['issuer with a slash more',           metadata => { issuer => "$issuer/" }],
    ['issuer in capitals',                 metadata => { issuer => uc $issuer }],
    ['issuer missing',                     metadata => { issuer => undef }],
    ['issuer a list',                      metadata => { issuer => [$issuer] }],
    ['no authorization_endpoint',          metadata => { authorization_endpoint => undef }],
    ['no token_endpoint',                  metadata => { token_endpoint => undef }],
    ['no jwks_uri',                        metadata => { jwks_uri => undef }],
    ['authorization_endpoint over http',   metadata => { authorization_endpoint => 'http://idp.example/authorize' }],
    ['token_endpoint over http',           metadata => { token_endpoint => 'http://idp.example/token' }],
    ['jwks_uri over http',                 metadata => { jwks_uri => 'http://idp.example/jwks' }],
    ['token_endpoint over http, loopback', metadata => { token_endpoint => "$plain/token" }],
    ['jwks_uri a file',                    metadata => { jwks_uri => 'file:///etc/passwd' }],
    ['jwks_uri without a scheme',          metadata => { jwks_uri => '/jwks' }],
    ['token_endpoint by another protocol', metadata => { token_endpoint => 'gopher://127.0.0.1/x' }],
    ['authorization_endpoint a script',    metadata => { authorization_endpoint => 'javascript:alert(1)' }],
    ['authorization_endpoint with a line', metadata => { authorization_endpoint => "$issuer/a\r\nSet-Cookie: a=b" }],
    ['authorization_endpoint with a user', metadata => { authorization_endpoint => 'https://us@idp.example/' }],
    ['token_endpoint no text',             metadata => { token_endpoint => 1 }],
    ['issuer twice',                       discovery => { append => qq("issuer":"$issuer") }],
    ['no JSON',                            discovery => { body => '<html></html>' }],
    ['a list',                             discovery => { body => '[]' }],
    ['empty',                              discovery => { body => '' }],
    ['larger than 256 KB',                 discovery => { extra => 270_000 }],
    ['404',                                discovery => { status => 404 }],
    ['a redirect',                         discovery => { redirect => "$issuer/jwks" }],
    ['no answer',                          discovery => { hangup => 1 }],
    ['half an answer',                     discovery => { hangup => 0.5 }],
    ['no HTTP',                            discovery => { raw => "220 smtp.example\r\n" }],
);
for my $lie (@lies) {
    my ($name, @knob) = @$lie;
    my $path = fresh();
    my $who = $browser->fresh;
    my $answer = $op->with(@knob, sub { $who->login($path, until => 'callback') });
    like $answer->status, qr/^50[23]$/, "metadata: $name";
    is_deeply [grep { /^SESSION_/ } map { $_->{name} } $who->cookies->all], [], "metadata: $name: no session";
}

# ---- keys that lie (RFC 7517 5) ----

for my $case (
    ['no JSON', body => 'oops'], ['a list', body => '[]'], ['keys no list', body => '{"keys":{}}'], ['keys missing', body => '{}'],
    ['larger than 512 KB', extra => 530_000], ['500', status => 500], ['a redirect', redirect => "$issuer/.well-known/openid-configuration"],
    ['no answer', hangup => 1],
) {
    my ($name, @knob) = @$case;
    my $path = fresh();
    my $who = $browser->fresh;
    my $answer = $op->with(jwks => {@knob}, sub { $who->login($path, until => 'callback') });
    like $answer->status, qr/^50[23]$/, "keys: $name";
    is_deeply [grep { /^SESSION_/ } map { $_->{name} } $who->cookies->all], [], "keys: $name: no session";
}

# ---- keys are fetched when the first token came: once for all, and without them nobody is blamed ----

sub callbacks { my ($path, $count) = @_; return map { my $who = $browser->fresh; [$who, $who->approve($who->begin($path))->location] } 1 .. $count }
sub open_all { return map { my ($who, $url) = @$_; $who->send('GET', $url, site => 'cross-site') } @_ }
for my $case (['good', {}, 302], ['bad', { status => 500 }, 503]) {
    my ($name, $knob, $status) = @$case;
    my $path = fresh();
    my @before = map { $op->count($_) } qw(discovery jwks);
    my @callbacks = callbacks($path, 12);
    $op->hold('jwks');
    my @waiting = open_all(@callbacks);
    $op->wait_held('jwks');
    is $browser->get('/open')->status, 204, "a $name fetch of keys: others are served meanwhile";
    $op->with(jwks => $knob, sub { $op->release('jwks') });
    my @answers = map { $_->response } @waiting;
    is_deeply [map { $_->status } @answers], [($status) x 12], "a $name fetch of keys: all 12 logins go on";
    is_deeply [map { $op->count($_) } qw(discovery jwks)], [map { $_ + 1 } @before], "a $name fetch of keys: one for all";
    next if $status == 302;
    like $answers[0]->header('Retry-After') // '', qr/^\d+$/, 'without keys: Retry-After';
    is begins($browser->fresh->get($path)), 1, 'logins begin all the same';
    ok OIDC::Nginx::wait_until(sub { $browser->fresh->login($path)->status == 204 }, 60), 'and end well when the keys are there';
    is $op->count('discovery'), $before[0] + 1, 'the metadata served on';
}

# ---- and honest ones that are odd ----

for my $case (
    ['250 KB of metadata', discovery => { extra => 240_000 }], ['500 KB of keys', jwks => { extra => 480_000 }],
    ['a query in authorization_endpoint', metadata => { authorization_endpoint => "$issuer/authorize?tenant=1" }],
    ['another type', discovery => { type => 'text/plain' }, jwks => { type => 'application/jwk-set+json' }],
    ['in small pieces', discovery => { drip => 0.001, piece => 200 }],
    ['iss not announced, and none sent', metadata => { authorization_response_iss_parameter_supported => undef }, callback => { iss => undef }],
    ['PKCE and algorithms not named', metadata => { code_challenge_methods_supported => undef, id_token_signing_alg_values_supported => undef }],
) {
    my ($name, @knob) = @$case;
    my $path = fresh();
    $op->configure(pkce => 'optional');
    is $op->with(@knob, sub { $browser->fresh->login($path) })->status, 204, "odd, but good: $name";
}
is_deeply [grep { !/^authorize/ } $op->refused], [], 'the provider saw no wrong request';
$ngx->stop;

# ---- slow ones, and the one who fetches dies ----

($ngx, undef, $browser) = site(op => $op, conf => conf($op, provider => 'read_timeout 1s;'));
$number = 0;
{
    my $path = fresh();
    my $answer = $op->with(discovery => { drip => 0.05, piece => 1 }, sub {
        my $slow = $browser->fresh->send('GET', $path);
        $op->wait_for('discovery');
        is $browser->get('/open')->status, 204, 'a provider that drips: others are served';
        $slow->response;
    });
    is $answer->status, 503, 'read_timeout is for the whole answer';
}
{
    my $path = fresh();
    $op->hold('discovery');
    is $browser->fresh->get($path)->status, 503, 'a provider that is silent: 503 at read_timeout';
    $op->release('discovery');
}
{
    my $path = fresh();
    $op->hold('discovery');
    my $cut = $browser->fresh->send('GET', $path);
    $op->wait_held('discovery');
    $ngx->kill_worker;
    $cut->close;
    $op->release('discovery');
    ok OIDC::Nginx::wait_until(sub { begins($browser->fresh->get($path)) }), 'the worker that fetched was killed: its successor fetches';
}

done_testing;
