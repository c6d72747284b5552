# What the logs tell: one line for a login that failed, at the level of whose fault it is, with the provider, the id that
# the page shows, the rule, what was expected and what was found; and nowhere a query that holds a code or a token.

use strict;
use warnings;

use FindBin;
use lib "$FindBin::Bin/lib";

use OIDC::Test;

my $op = OIDC::Provider->new(tls => 0);
my $format = 'log_format all \'$status "$request" uri=$request_uri args=$args query=$query_string code=$arg_code state=$arg_state token=$arg_logout_token sid=$arg_sid\';';
my @places = (
    http => $format . provider_conf($op, name => 'posts', provider => 'response_mode form_post; redirect_uri /posted;'),
    provider => 'logout_uri /logout; backchannel_logout_uri /back_logout; frontchannel_logout_uri /front_logout; userinfo on;',
    server => <<'END',
        access_log %%DIR%%/all.log all;
        log_subrequest on;
        if ($http_x_blocked) { return 403; }
        location = /named { auth_oidc $arg_idp; }
        location = /mode { auth_oidc my_idp; auth_oidc_anonymous $arg_mode; }
        location = /posts { auth_oidc posts; }
END
);
my ($ngx, undef, $browser) = site(op => $op, @places);

# The one line of a failure, in its parts.
my $line = qr/^\S+ \S+ \[(\w+)\] \d+#\d+: \*\d+ auth_oidc: (\w+) failed, provider "([^"]*)", problem ([0-9a-f]{8}), fault (\w+), rule (\w+): (.*?), client: 127\.0\.0\.1, server: localhost, request: "([^"]*)"/;

sub check {
    my ($name, $expected, $code) = @_;
    my ($level, $provider, $fault, $rule, $text, $status) = @$expected;
    my $mark = $ngx->log_mark;
    my $answer = $code->();
    is $answer->status, $status, "$name: $status";
    $ngx->wait_log(qr/failed, provider/, $mark);
    my @lines = grep { /auth_oidc: / } split /\n/, $ngx->log_since($mark);
    is scalar @lines, 1, "$name: one line" or diag join "\n", @lines;
    my @parts = ($lines[0] // '') =~ $line or diag $lines[0] // 'none';
    is_deeply [@parts[0, 2, 4, 5]], [$level, $provider, $fault, $rule], "$name: level, provider, fault, rule";
    like $parts[6] // '', $text, "$name: expected and found";
    my ($shown) = $answer->body =~ /<code>([^<]*)<\/code>/;
    is $shown, $parts[3], "$name: the page shows its id";
    unlike $parts[7] // '?', qr/\?/, "$name: the request without its query" if ($parts[7] // '') =~ /oidc_callback|posted/;
    return $answer;
}

sub visitor { my $who = $browser->fresh; return ($who, $who->callback_of('/app')) }
sub changed { my ($change) = @_; my ($who, $url) = visitor(); return $who->open_callback($change->($url, $who)) }
sub lies { my (@knobs) = @_; return $op->with(@knobs, sub { $browser->fresh->login('/app', until => 'callback') }) }

is $browser->fresh->login('/app')->status, 200, 'a login works';
{
    my ($mine) = grep { /auth_oidc/ } split /\n/, $ngx->error_log;
    like $mine, qr/\[info\] .* auth_oidc: signed in, provider "my_idp", .* request: "GET \/oidc_callback HTTP\/1\.1"/, 'which is one line too';
}

# ---- the browser's fault: info ----

my @browser_faults = (
    ['no ticket', 'ticket_missing', qr/no cookie of this browser belongs to this state/, sub { my ($url, $who) = @_; $who->cookies->clear; $url }],
    ['another state', 'ticket_missing', qr/no cookie/, sub { my $other = random_token(); $_[0] =~ s/state=[^&]*/state=$other/r }],
    ['no state', 'callback_state', qr/state/, sub { $_[0] =~ s/([?&])state=[^&]*/$1/r }],
    ['code twice', 'callback_duplicate', qr/code/, sub { "$_[0]&code=x" }],
    ['broken escape', 'callback_format', qr/./, sub { "$_[0]&x=%zz" }],
    ['no code', 'callback_code', qr/code/, sub { $_[0] =~ s/code=[^&]*&?//r }],
    ['iss of somebody else', 'callback_iss', qr/https:\/\/evil\.example/, sub { my $other = escape('https://evil.example'); $_[0] =~ s/iss=[^&]*/iss=$other/r }],
);
for my $case (@browser_faults) {
    my ($name, $rule, $text, $change) = @$case;
    check($name, ['info', 'my_idp', 'browser', $rule, $text, 400], sub { changed($change) });
}
{
    my ($who, $url) = visitor();
    my @tickets = $who->cookies->all;
    $op->with(token => { status => 500 }, sub { $who->open_callback($url) });
    $who->cookies->put($_->{name}, $_->{value}) for @tickets;
    check('a state that was used, in vain', ['info', 'my_idp', 'browser', 'state_used', qr/used before/, 400], sub { $who->open_callback($url) });
}
check('a method', ['info', '-', 'browser', 'method', qr/DELETE is not one of GET/, 405], sub { my ($who, $url) = visitor(); $who->request('DELETE', $url) });
check('a provider that is none', ['info', '-', 'browser', 'unknown_provider', qr/names a provider that this server does not have/, 400], sub { $browser->fresh->get('/oidc_login?provider=nobody') });
check('a host that is none', ['info', 'my_idp', 'browser', 'host', qr/evil\.example/, 421], sub { $browser->fresh->get('/app', headers => { Host => 'evil.example' }) });

# ---- the provider's: error ----

my $issuer = $op->issuer;
my @provider_faults = (
    ['refused at the token endpoint', 'token_refused', qr/"invalid_grant": no such code/, 502, token => { status => 400, body => '{"error":"invalid_grant","error_description":"no such code"}' }],
    ['broken token endpoint', 'token_unavailable', qr/expected 200, found 500/, 502, token => { status => 500 }],
    ['no connection', 'token_unavailable', qr/no answer: /, 502, token => { hangup => 1 }],
    ['no JSON', 'token_response', qr/./, 502, token => { body => '<html>' }],
    ['no ID token', 'token_response', qr/there is no id_token/, 502, token => { drop => ['id_token'] }],
    ['token_type', 'token_response', qr/expected token_type Bearer, found "mac"/, 502, token => { set => { token_type => 'mac' } }],
    ['iss', 'id_token_iss', qr/expected "?\Q$issuer\E"?, found "?https:\/\/evil\.example/, 502, claims => { iss => 'https://evil.example' }],
    ['aud', 'id_token_aud', qr/expected .*web-app:1.* found .*other/, 502, claims => { aud => 'other' }],
    ['azp', 'id_token_azp', qr/expected .*web-app:1.* found .*other/, 502, claims => { azp => 'other' }],
    ['exp', 'id_token_exp', qr/exp is 1000, the time here is \d+/, 502, claims => { exp => 1000 }],
    ['iat', 'id_token_iat', qr/iat is 99999999999, the time here is \d+/, 502, claims => { iat => 99999999999 }],
    ['nonce', 'id_token_nonce', qr/not the one that was sent/, 502, claims => { nonce => 'another-nonce' }],
    ['at_hash', 'id_token_at_hash', qr/belongs to another value/, 502, claims => { at_hash => 'AAAAAAAAAAAAAAAAAAAAAA' }],
    ['sub', 'id_token_sub', qr/found 256/, 502, claims => { sub => 'x' x 256 }],
    ['alg', 'jws_alg', qr/none/, 502, alg => 'none'],
    ['UserInfo of somebody else', 'userinfo_sub', qr/somebody else/, 502, userinfo => { set => { sub => 'mallory' } }],
    ['UserInfo', 'userinfo_unavailable', qr/expected 200, found 503/, 502, userinfo => { status => 503 }],
    ['an error at the authorization endpoint', 'login_refused', qr/server_error.*overloaded/, 502, callback => { error => 'server_error', error_description => 'overloaded' }],
);
for my $case (@provider_faults) {
    my ($name, $rule, $text, $status, @knobs) = @$case;
    check($name, ['error', 'my_idp', 'provider', $rule, $text, $status], sub { lies(@knobs) });
}
check('access_denied is the user\'s own wish', ['info', 'my_idp', 'browser', 'login_denied', qr/access_denied/, 403], sub { lies(callback => { error => 'access_denied' }) });
# The first of these brings one fresh fetch of keys, and its own line is of the failed login alone.
check('a signature', ['error', 'my_idp', 'provider', 'jws_signature', qr/signature/, 502], sub { lies(signature => 'garbage') });

# ---- ours: crit ----

check('a variable that names no provider', ['crit', '-', 'us', 'unknown_provider', qr/"nobody"/, 500], sub { $browser->fresh->get('/named?idp=nobody') });
check('a mode that is none', ['crit', '-', 'us', 'anonymous_mode', qr/gives "open", expected auto, login, deny or allow/, 500], sub { $browser->fresh->get('/mode?mode=open') });

# ---- text from outside ----

{
    my $mark = $ngx->log_mark;
    lies(token => { status => 400, body => '{"error":"invalid_grant","error_description":"a\r\nb\u0007\u001b[31m ' . 'x' x 3000 . '"}' });
    ok $ngx->wait_log(qr/token_refused/, $mark), 'a provider with much to say';
    my ($said) = grep { /token_refused/ } split /\n/, $ngx->log_since($mark);
    unlike $said, qr/[\x00-\x08\x0e-\x1f]|x{1000}/, 'is cut short, without control characters, and in one line';
    like $said, qr/request: "GET /, 'which nginx has finished';
}
{
    my $told = lies(token => { status => 400, json => { error_description => '"%%"' }, set => { error => 'invalid_client' } });
    is $told->status, 502, 'invalid_client';
    $ngx->log_like(qr/rule token_refused: the provider answered "invalid_client"/, 'which names what the administrator has to look at');
}

# ---- no log holds the query of our endpoints ----

secret(my @words = map { "word-that-no-log-may-show-$_" } 1 .. 6);
my ($who, $url) = visitor();
$who->get("/oidc_callback?code=$words[0]&state=$words[1]&session_state=$words[2]");
$who->get("/oidc_callback?code=$words[0]", headers => { 'X-Blocked' => 1 });
$who->request($_, "/oidc_callback?code=$words[0]") for qw(POST HEAD PUT OPTIONS);
$who->request('POST', '/oidc_callback', form => { code => $words[0], state => $words[1] });
$who->request('POST', '/posted', form => { code => $words[0], state => $words[1] });
$who->get("/posted?code=$words[0]&state=$words[1]");
my $token = $op->logout_token(sid => 'nobody');
secret($token);
$who->request('POST', '/back_logout', form => { logout_token => $token });
$who->request('POST', '/back_logout', form => { logout_token => $words[3] });
$who->request('POST', "/back_logout?logout_token=$words[3]", form => {});
$who->get("/back_logout?logout_token=$words[3]");
$who->get("/front_logout?iss=$issuer&sid=$words[4]");
{
    my ($raw) = $browser->raw("GET http://localhost/oidc_callback?code=$words[0] HTTP/1.0\r\nHost: localhost\r\nReferer: http://localhost/app\r\n\r\n");
    is $raw->status, 400, 'HTTP/1.0 with a whole URL';
}
{
    $op->hold('token');
    my $click = $who->send('GET', $url, site => 'cross-site');
    $op->wait_held('token');
    my $mark = $ngx->log_mark;
    $click->close;
    ok $ngx->wait_log(qr/closed connection|reset by peer/, $mark), 'a client that leaves in the middle of its callback';
    $op->release('token');
    like $ngx->log_since($mark), qr/request: "GET \/oidc_callback HTTP\/1\.1"/, 'is a line of nginx, without the query';
}
{
    my $browser = $browser->fresh;
    my $url = $browser->callback_of('/app');
    my $before = length $ngx->access_log('all.log');
    $browser->open_callback($url);
    OIDC::Nginx::wait_until(sub { (() = substr($ngx->access_log('all.log'), $before) =~ /\n/g) >= 3 });
    my @lines = split /\n/, substr $ngx->access_log('all.log'), $before;
    my $empty = 'args=- query=- code=- state=- token=- sid=-';
    is_deeply [grep { !/^\d+ "GET \/oidc_callback HTTP\/1\.1" uri=\/oidc_callback \Q$empty\E$/ } @lines], [], 'access log: no variable has the query, in the exchange\'s subrequests neither';
    is scalar @lines, 3, 'log_subrequest: a line for the code, one for UserInfo, one for the callback';
}
like $ngx->access_log('all.log'), qr/args=provider=nobody/, 'other queries are there';

my @logs = grep { $_->[1] =~ /[?&](?:code|state|logout_token)=|\Q$token\E|word-that-no-log/ } $ngx->log_files;
is_deeply [map { $_->[0] } @logs], [], 'no log of this nginx has a code, a state or a token';
$ngx->stop;

# ---- the same with everything that nginx can say: only our own lines count, nginx's show what it received ----

{
    my ($site, $debug, $who) = site(op => { tls => 0 }, nginx => { log_level => 'debug' }, provider => 'userinfo on; logout_uri /logout;');
    is $who->login('/app')->status, 200, 'debug: a login';
    $debug->with(claims => { nonce => 'x' }, sub { $who->fresh->login('/app') });
    $who->get('/logout');
    my @ours = grep { /auth_oidc/ } split /\n/, $site->error_log;
    cmp_ok scalar(@ours), '>=', 3, 'debug: we say something';
    $site->stop;
}

done_testing;
