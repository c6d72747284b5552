# Hostile and unlucky callbacks: what is refused before anything is sent to the provider, single use of a login, what
# the provider's errors become, and what the way back looks like.

use strict;
use warnings;

use FindBin;
use lib "$FindBin::Bin/lib";

use OIDC::Test;

my ($ngx, $op, $browser) = site(
    http => <<'END',
    server {
        listen 127.0.0.1:%%PORT_site%%;
        server_name other.localhost;
        location / { auth_oidc my_idp; return 204; }
    }
END
    provider => 'extra_auth_args "prompt=none"; read_timeout 60s;',
);
my $session = 'NGX_OIDC_SESSION';

# Starts a login for a new visitor. Returns the visitor and the callback's address.
sub visitor { my $who = $browser->fresh; return ($who, $who->callback_of($_[0] // '/app')) }

# Without a ticket or a code, a code, or a second parameter: the answer must be 400 and the provider must not be asked.
sub refused {
    my ($name, $change, %option) = @_;
    my ($who, $url) = visitor();
    my $asked = $op->count('token');
    my $answer = $who->open_callback($change->($url, $who), %option);
    is $answer->status, $option{status} // 400, "$name: " . ($option{status} // 400);
    is $op->count('token'), $asked, "$name: nothing is sent to the provider";
    ok !has_session($who), "$name: no session";
    return $answer;
}

# ---- the usual way ----

{
    my ($who, $url) = visitor('/a%20b//c?x=1&y=%2F');
    my $kept = $who->cookies->find(qr/^/);
    ok $kept && !grep({ $_->{name} eq $session } $who->cookies->all), 'a login in flight is one cookie, and no session';
    $who->cookies->put($session, 'brought-by-an-attacker');
    my $answer = $who->open_callback($url);
    like $answer->status, qr/^30[23]$/, 'the callback redirects';
    is $answer->location, $who->resolve('/a%20b//c?x=1&y=%2F'), 'to the target, byte for byte';
    my $set = $answer->cookie($session);
    isnt $set->{value}, 'brought-by-an-attacker', 'a new session id';
    ok length $set->{value} >= 43, 'of 256 bits';
    is_deeply [@$set{qw(httponly samesite path domain)}], [1, 'Lax', '/', undef], 'attributes of the session cookie';
    my $gone = $answer->cookie($kept->{name});
    is_deeply [@$gone{qw(value path samesite httponly secure)}], ['', @$kept{qw(path samesite httponly secure)}],
        'the ticket is deleted with the attributes of its set';
    is $who->cookies->find($kept->{name}), undef, 'and has left the jar';
    like $answer->header('Cache-Control'), qr/no-store/, 'no-store';
    is $who->get('/app')->header('X-Sub'), 'alice', 'signed in';
    is_deeply [$op->refused], [], 'the provider had nothing to complain about';
    is $op->last('token')->{form}{redirect_uri}, $who->resolve('/oidc_callback'), 'redirect_uri is sent again';
}

# ---- method and form of the request ----

for my $method (qw(PUT DELETE OPTIONS)) {
    my ($who, $url) = visitor();
    my $asked = $op->count('token');
    like $who->request($method, $url, site => 'cross-site')->status, qr/^40[05]$/, "$method: refused";
    is $op->count('token'), $asked, "$method: nothing is sent to the provider";
    ok !has_session($who), "$method: no session";
}
refused('no parameter at all', sub { $_[0] =~ s/\?.*//r });
refused('broken escape', sub { "$_[0]&x=%zz" });
refused('NUL', sub { "$_[0]&x=%00" });
refused('100 parameters', sub { $_[0] . '&a=1' x 100 });
{
    my ($who, $url) = visitor();
    like $who->open_callback("$url&session_state=abc&unknown=1")->status, qr/^30/, 'unknown parameters are no matter';
}

# ---- no protocol parameter twice ----

for my $name (qw(state code iss)) {
    refused("$name twice, the same", sub { my ($value) = $_[0] =~ /\b$name=([^&]*)/; "$_[0]&$name=$value" });
    refused("$name twice, another one first", sub { $_[0] =~ s/\?/?$name=x&/r });
    refused("$name twice, one of them empty", sub { "$_[0]&$name=" });
}
refused('error twice', sub { "$_[0]&error=access_denied&error=access_denied" });

# ---- state and its ticket ----

refused('no state', sub { $_[0] =~ s/([?&])state=[^&]*/$1/r });
refused('empty state', sub { $_[0] =~ s/state=[^&]*/state=/r });
refused('another state', sub { my $other = random_token(); $_[0] =~ s/state=[^&]*/state=$other/r });
refused('state cut short', sub { $_[0] =~ s/(state=[^&]*)./$1/r });
refused('a state that would end the cookie name', sub { $_[0] =~ s/(state=[^&]*)/$1%3B%20a%3Db/r });
refused('a state of 4 KB', sub { my $long = 'A' x 4000; $_[0] =~ s/state=[^&]*/state=$long/r });
refused('code and error missing', sub { $_[0] =~ s/code=[^&]*&?//r });
refused('empty code', sub { $_[0] =~ s/code=[^&]*/code=/r });

my $no_ticket = refused('another browser', sub { $_[1]->cookies->clear; $_[0] });
like $no_ticket->body, qr/href="[^"]*"/, 'the page has a way to sign in again';
refused('ticket cut short', sub { my ($cookie) = $_[1]->cookies->all; chop $cookie->{value}; $_[0] });
refused('ticket changed', sub { my ($cookie) = $_[1]->cookies->all; substr($cookie->{value}, 30, 1) =~ tr/A-Za-z0-9_-/B-Za-z0-9_\-A/; $_[0] });
refused('ticket of another login under this name', sub {
    my ($url, $who) = @_;
    my ($cookie) = $who->cookies->all;
    my $other = $who->fresh;
    $other->begin('/app');
    $cookie->{value} = ($other->cookies->all)[0]{value};
    return $url;
});
refused('empty ticket', sub { ($_[1]->cookies->all)[0]{value} = ''; $_[0] });
refused('callback at another server of this host', sub {
    my ($url, $who) = @_;
    my ($cookie) = $who->cookies->all;
    $who->cookies->put($cookie->{name}, $cookie->{value}, domain => 'other.localhost');
    return $url =~ s/localhost/other.localhost/r;
});

# ---- iss (RFC 9207) ----

refused('iss of somebody else', sub { my $other = escape('https://evil.example'); $_[0] =~ s/iss=[^&]*/iss=$other/r });
refused('iss with a slash more', sub { $_[0] =~ s/(iss=[^&]*)/$1%2F/r });
refused('iss missing though it was announced', sub { $_[0] =~ s/&?iss=[^&]*//r });

# ---- once ----

{
    my ($who, $url) = visitor('/twice');
    $who->open_callback($url);
    my $asked = $op->count('token');
    my $again = $who->open_callback($url);
    is_deeply [$again->status =~ /^30[23]$/ ? 1 : $again->status, $again->location], [1, $who->resolve('/twice')], 'back button: on to the target';
    is $op->count('token'), $asked, 'back button: no second exchange';
    ok has_session($who), 'back button: still signed in';
}
for my $case (['/twice?' . 'q' x 190, '/twice?' . 'q' x 190], ['/twice?' . 'q' x 300, '/twice'], ['/twice/' . 'p' x 300, '/']) {
    my ($target, $kept) = @$case;
    my ($who, $url) = visitor($target);
    is $who->open_callback($url)->location, $who->resolve($_), 'back button, ' . length($target) . ' bytes: to all of the target, then its path, never a part of that' for $target, $kept;
}
{
    my ($who, $url) = visitor('/stolen');
    my @tickets = $who->cookies->all;
    $who->open_callback($url);
    my $asked = $op->count('token');
    my $thief = $who->fresh;
    $thief->cookies->put($_->{name}, $_->{value}) for @tickets;
    my $answer = $thief->open_callback($url);
    is $op->count('token'), $asked, 'a used state: no second exchange, ticket or not';
    ok !$answer->cookie($session) || $answer->cookie($session)->{value} eq '', 'a used state: no session';
    ok !has_session($thief), 'a used state: not let in';
}
{
    my ($who, $url) = visitor('/two_clicks');
    my $asked = $op->count('token');
    $op->hold('token');
    my @clicks = map { $who->send('GET', $url, site => 'cross-site') } 1 .. 2;
    $op->wait_held('token');
    $op->release('token');
    my @answers = map { $_->response } @clicks;
    is_deeply [map { $_->location } @answers], [($who->resolve('/two_clicks')) x 2], 'two live clicks: both go on to the target';
    is $op->count('token') - $asked, 1, 'two live clicks: one exchange';
    ok has_session($who), 'two live clicks: signed in';
}
{
    my ($who, $url) = visitor('/cut_off');
    $op->hold('token');
    my $first = $who->send('GET', $url, site => 'cross-site');
    $op->wait_held('token');
    $first->close;
    $ngx->wait_log(qr/client (?:prematurely )?closed|reset by peer/);
    my $second = $who->open_callback($url);
    $op->release('token');
    like $second->location // $second->status, qr{^\Q@{[$op->issuer]}\E/authorize}, 'a cut off click: one fresh login begins';
    my $done = $who->open_callback($who->approve($second)->location);
    is $done->location, $who->resolve('/cut_off'), 'a cut off click: to the same target';
    is $who->get('/cut_off')->status, 200, 'a cut off click: signed in';
}

# ---- a login that takes too long ----

{
    my ($short, $plain, $hasty) = site(op => { tls => 0 }, provider => 'login_timeout 1s;');
    my $url = $hasty->callback_of('/app');
    my $ends = time + 2;
    OIDC::Nginx::wait_until(sub { time > $ends });
    my $asked = $plain->count('token');
    is $hasty->open_callback($url)->status, 400, 'an expired ticket: 400';
    is $plain->count('token'), $asked, 'an expired ticket: nothing is sent to the provider';
    $short->stop;
}

# ---- errors of the provider (C 3.1.2.6) ----

sub answer_with { my (%answer) = @_; return $op->with(callback => {%answer}, sub { $browser->fresh->login('/app', until => 'callback') }) }

for my $case ([access_denied => 403], [server_error => 502], [temporarily_unavailable => 502], [invalid_scope => 502], [made_up => 502]) {
    my ($error, $status) = @$case;
    my $answer = answer_with(error => $error, error_description => 'because');
    is $answer->status, $status, "$error: $status";
    ok !$answer->cookie($session), "$error: no session";
}
my $nasty = answer_with(error => 'access_denied', error_description => '<script>alert(1)</script>"\'&', error_uri => 'javascript:alert(2)');
unlike $nasty->body, qr/<script|javascript:/, 'the text of the provider is escaped';
like $nasty->header('Content-Type'), qr{^text/html}, 'an error is a page';
like $nasty->header('Cache-Control'), qr/no-store/, 'which nobody keeps';
is $nasty->header('X-Content-Type-Options'), 'nosniff', 'nor sniffs';
is $nasty->header('Referrer-Policy'), 'no-referrer', 'nor tells of';
like $nasty->header('Content-Security-Policy'), qr/frame-ancestors 'none'/, 'nor frames';
unlike $nasty->header('Content-Security-Policy'), qr/script-src[^;]*unsafe-inline/, 'without inline script';
answer_with(error => 'access_denied', error_description => "line\r\n2026/01/01 00:00:00 [alert] 1#1: forged");
unlike $ngx->error_log, qr/^2026\/01\/01 00:00:00 \[alert\]/m, 'and cannot forge lines of the log';

{
    my $who = $browser->fresh;
    my $again = $op->with(callback => { error => 'login_required' }, sub { $who->login('/kin?a=1', until => 'callback') });
    like $again->location // $again->status, qr{^\Q@{[$op->issuer]}\E/authorize}, 'login_required: one fresh login';
    is $again->query->{prompt}, undef, 'login_required: without prompt=none';
    my $second = $op->with(callback => { error => 'login_required' }, sub { $who->open_callback($who->approve($again)->location) });
    is $second->status, 403, 'login_required again: no third';
}
{
    my $who = $browser->fresh;
    my $again = $op->with(callback => { error => 'interaction_required' }, sub { $who->login('/kin?a=1', until => 'callback') });
    my $done = $who->open_callback($who->approve($again)->location);
    is $done->location, $who->resolve('/kin?a=1'), 'interaction_required: the fresh login returns to the same target';
}
refused('an error without a ticket', sub { $_[1]->cookies->clear; $_[0] =~ s/code=[^&]*/error=access_denied/r });

# ---- token endpoint ----

my %token = (
    'is refused'                   => { status => 400, body => '{"error":"invalid_grant"}' },
    'breaks'                       => { status => 500, body => 'oops', type => 'text/plain' },
    'redirects'                    => { redirect => $op->plain_origin . '/userinfo' },
    'answers 204'                  => { status => 204, body => '' },
    'hangs up'                     => { hangup => 1 },
    'hangs up in the middle'       => { hangup => 0.5 },
    'speaks no HTTP'               => { raw => "SSH-2.0-OpenSSH\r\n" },
    'sends no JSON'                => { body => '<html></html>', type => 'text/html' },
    'sends an array'               => { body => '[]' },
    'sends an empty body'          => { body => '' },
    'sends 70,000 bytes'           => { extra => 70_000 },
    'sends a member twice'         => { append => '"id_token":"x"' },
    'leaves out the access token'  => { drop => ['access_token'] },
    'leaves out the ID token'      => { drop => ['id_token'] },
    'sends an ID token of numbers' => { json => { id_token => '1' } },
    'has another token type'       => { set => { token_type => 'mac' } },
);
for my $name (sort keys %token) {
    my $who = $browser->fresh;
    my $mark = $ngx->log_mark;
    my $asked = $op->count('userinfo');
    my $answer = $op->with(token => $token{$name}, sub { $who->login('/app', until => 'callback') });
    is $answer->status, 502, "the token endpoint $name: 502";
    ok !$answer->cookie($session), "the token endpoint $name: no session";
    ok $ngx->wait_log(qr/\[error\]/, $mark), "the token endpoint $name: an error in the log";
    is $op->count('userinfo'), $asked, "the token endpoint $name: redirects are not followed" if $name eq 'redirects';
}
{
    my $answer = $op->with(token => { status => 500 }, sub { $browser->fresh->login('/app', until => 'callback') });
    my ($id) = map { /\bid\b[^<]*<[^>]*>\s*([A-Za-z0-9-]{4,})/i ? $1 : () } $answer->body;
    ok defined $id && $ngx->wait_log(qr/\Q$id\E/), 'the problem id of the page is in the log' or diag $answer->body;
}
is $browser->fresh->login('/app')->status, 200, 'after all that a login works';

# ---- a new login ends the old session ----

{
    my $who = $browser->fresh;
    $who->login('/app');
    my $old = $who->cookies->find($session)->{value};
    $who->login('/oidc_login?return_to=/app');
    isnt $who->cookies->find($session)->{value}, $old, 'a new session id with each login';
    my $thief = $who->fresh;
    $thief->cookies->put($session, $old);
    ok !has_session($thief), 'the session that the browser brought is gone';
}

# ---- loops and tabs ----

{
    my $who = $browser->fresh;
    for (1 .. 3) {
        $who->login('/app', until => 'callback');
        $who->cookies->remove($session);
    }
    my $page = $who->begin('/app');
    ok !$page->is_redirect, 'a browser that refuses the session cookie: no loop';
    like $page->body, qr/cookie/i, 'but a page that names the likely cause';
}
{
    my $who = $browser->fresh;
    my @tabs = map { $who->callback_of("/tab$_") } 1 .. 4;
    is_deeply [map { $who->open_callback($tabs[$_ - 1])->location } 1 .. 4], [map { $who->resolve("/tab$_") } 1 .. 4], 'four tabs within a minute';
    ok has_session($who), 'and signed in';
}

# ---- at most 64 exchanges at once ----

{
    my @visitors = map { [visitor("/many$_")] } 1 .. 65;
    $op->hold('token');
    my @waiting = map { $visitors[$_][0]->send('GET', $visitors[$_][1], site => 'cross-site') } 0 .. 63;
    $op->wait_held('token', 64);
    my $answer = $visitors[64][0]->open_callback($visitors[64][1]);
    is $answer->status, 503, 'exchange number 65: 503';
    like $answer->header('Retry-After') // '', qr/^\d+$/, 'with Retry-After';
    is $browser->get('/open')->status, 200, 'and others are served';
    $op->release('token');
    is scalar(grep { $_->response->is_redirect } @waiting), 64, 'the 64 sign in';
}

# ---- nobody logs the callback's query ----

unlike $ngx->access_log, qr/oidc_callback\?/, 'access log: the callback without its query';
unlike $ngx->error_log, qr/oidc_callback\?/, 'error log: the same';
like $ngx->access_log, qr{"GET /oidc_callback }, 'it is there, though';
like $ngx->access_log, qr{"GET /a%20b//c\?x=1&y=%2F }, 'and other queries stay';

done_testing;
