# A session is refreshed before its tokens end: once, by whoever comes first; what the provider's answers
# and its silence do to the session; and that a sign-out in the middle stays one.

use strict;
use warnings;

use FindBin;
use lib "$FindBin::Bin/lib";

use OIDC::Test;

my ($ngx, $op, $browser);

# Several providers of one mock: each differs in what it does about refreshes.
sub other {
    my ($op, $name, $more) = @_;
    my $uris = "redirect_uri /${name}_callback; login_uri /${name}_login; logout_uri /${name}_logout; cookie_name \U$name\E;";
    return provider_conf($op, name => $name, provider => "$uris $more");
}

$op = OIDC::Provider->new;
my %more = (
    strict  => 'session_refresh 30s required;',
    never   => 'session_refresh off;',
    recheck => 'session_refresh off; session_recheck 1s;',
    info    => 'session_refresh off; session_recheck 1s; userinfo on;',
    life    => 'session_timeout 10m; session_max_age 20m;',
);
my $location = <<'END';
            add_header X-Token $oidc_access_token always;
            add_header X-Groups $oidc_claim_groups always;
            add_header X-Id $oidc_id_token always;
            add_header X-Ends $oidc_session_expires always;
END
($ngx, $op, $browser) = site(
    op       => $op,
    nginx    => { workers => 2 },
    http     => join('', map { other($op, $_, $more{$_}) } sort keys %more),
    server   => join('', map { "location /$_ { auth_oidc $_; $location proxy_pass http://127.0.0.1:%%PORT_app%%; }\n" } sort keys %more),
    location => $location,
    provider => 'logout_uri /logout;',
);

# A new visitor who has just come back from the provider, with an access token of so many seconds; later ones live long.
sub visitor {
    my ($seconds, $page) = @_;
    my $who = $browser->fresh;
    $op->configure(expires_in => $seconds);
    my $answer = $who->login($page // '/app', until => 'callback');
    die 'no login: ' . $answer->status . "\n" unless $answer->is_redirect;
    $op->configure(expires_in => 3600);
    $op->forget;
    return $who;
}

sub parallel {
    my ($who, $page, $count) = @_;
    return map { $who->send('GET', $page) } 1 .. $count;
}

sub statuses {
    my %seen;
    $seen{ $_->response->status }++ for @_;
    return join ' ', map { "$_:$seen{$_}" } sort keys %seen;
}

# ---- the usual way ----

{
    my $who = visitor(3600);
    is $who->get('/app')->status, 200, 'a young token';
    is $op->count('refresh'), 0, 'is not refreshed';
}
{
    my $who = visitor(30);
    my $answer = $who->get('/app');
    is $answer->status, 200, 'less than a minute before its end';
    is $op->count('refresh'), 1, 'it is refreshed';
    is_deeply [$op->refused], [], 'and the provider finds nothing wrong with the request';
    ok length $answer->header('X-Token'), 'the application gets a token';
    is $who->get('/app')->header('X-Token'), $answer->header('X-Token'), 'which the next request gets too';
    is $op->count('refresh'), 1, 'without another refresh';
}
{
    my $who = visitor(30);
    $op->configure(user => { sub => 'alice', name => 'Alice', groups => ['guest'] });
    is $who->get('/app')->header('X-Groups'), 'guest', 'the claims are new too';
    $op->configure(user => { sub => 'alice', name => 'Alice', groups => ['staff', 'admin'] });
}
{
    my $who = visitor(30, '/never');
    is $who->get('/never')->status, 200, 'session_refresh off';
    is $op->count('refresh'), 0, 'asks for nothing';
}
{
    my $who = visitor(45, '/strict');
    $who->get('/strict');
    is $op->count('refresh'), 0, 'a time of its own: not yet';
    $who = visitor(25, '/strict');
    $who->get('/strict');
    is $op->count('refresh'), 1, 'a time of its own: now';
}
{
    my $who = $browser->fresh;
    $op->with(claims => { exp => time + 30 }, sub { $who->login('/app', until => 'callback') });
    $op->forget;
    my $first = $who->get('/app')->header('X-Id');
    is $op->count('refresh'), 1, 'the end of the ID token counts where it is used';
    ok length $first && $who->get('/app')->header('X-Id') eq $first, 'and the new one is shown';
}
{
    my $who = visitor(30, '/life');
    my $login = time;
    my $ends = $who->get('/life')->header('X-Ends');
    cmp_ok $ends, '<=', time + 600, 'session_timeout counts from the refresh';
    cmp_ok $ends, '>=', $login + 600, 'session_timeout is renewed by it';
}

# ---- many at once ----

for my $round (1 .. 20) {
    my $who = visitor($round % 2 ? 30 : 0);
    my $found = statuses(parallel($who, '/app', 50));
    is $found, '200:50', "round $round: all of 50 are answered";
    is $op->count('refresh'), 1, "round $round: by one refresh";
    is $who->get('/app')->status, 200, "round $round: the session is valid after";
    is_deeply [$op->refused], [], "round $round: no token was used twice";
}
{
    my $who = visitor(30);
    $op->hold('refresh');
    my $first = $who->send('GET', '/app');
    $op->wait_held('refresh');
    is statuses(parallel($who, '/app', 10)), '200:10', 'the others go on while the token lives';
    $op->release('refresh');
    is $first->response->status, 200, 'and so does the first in the end';
}
{
    my $who = visitor(0);
    $op->hold('refresh');
    my @all = parallel($who, '/app', 10);
    $op->wait_held('refresh');
    is $op->held('refresh'), 1, 'with a token that is over all wait for one refresh';
    $op->release('refresh');
    my %tokens = map { $_->response->header('X-Token') => 1 } @all;
    is scalar(keys %tokens), 1, 'and get the same token';
    ok !exists $tokens{''}, 'a living one';
}

# ---- no ----

{
    my $who = visitor(30);
    my $answer = $op->with(refresh => { status => 400, body => '{"error":"invalid_grant"}' }, sub { $who->get('/app') });
    is $answer->status, 302, 'a refused refresh ends the session: a page leads to a login';
    is $who->get('/app', kind => 'fetch')->status, 401, 'a program gets 401';
    is $op->count('refresh'), 1, 'and nobody asks again';
}
for my $lie (['somebody else', { claims => { sub => 'mallory' } }], ['for another client', { claims => { aud => 'other' } }],
    ['another issuer', { claims => { iss => 'https://other.example' } }], ['no right signature', { signature => 'garbage' }])
{
    my ($name, $knobs) = @$lie;
    my $who = visitor(30);
    my $answer = eval { $op->with(%$knobs, sub { $who->get('/app') }) } or do { fail "$name: $@"; next };
    is $answer->status, 302, "a refreshed ID token of $name ends the session";
}

# ---- away ----

{
    my $who = visitor(30);
    my ($answer, $next) = $op->with(refresh => { status => 503 }, sub { ($who->get('/app'), $who->get('/app')) });
    is $answer->status, 200, 'while the provider is away the session goes on';
    ok length $answer->header('X-Token'), 'with the token that still lives';
    is $next->status, 200, 'the next request too';
    is $op->count('refresh'), 1, 'which does not ask at once again';
}
{
    my $who = visitor(0);
    $op->down;
    my $answer = $who->get('/app');
    $op->up;
    is $answer->status, 200, 'with a token that is over it goes on as well';
    is $answer->header('X-Token') // '', '', 'and shows none';
    OIDC::Nginx::wait_until(sub { length($who->get('/app')->header('X-Token') // '') });
    ok length $who->get('/app')->header('X-Token'), 'until the provider is back';
}
{
    my $who = visitor(0, '/strict');
    $op->down;
    my $answer = $who->get('/strict');
    $op->up;
    is $answer->status, 503, 'required: 503 without a living token';
    ok $answer->header('Retry-After') > 0, 'with Retry-After';
    my $back = OIDC::Nginx::wait_until(sub { my $a = $who->get('/strict'); $a->status == 200 && $a });
    ok $back, 'and the same session goes on when the provider is back';
    $who = visitor(25, '/strict');
    is $op->with(refresh => { status => 500 }, sub { $who->get('/strict')->status }), 200, 'required: 200 while the token lives';
}

# ---- recheck ----

for my $way (['recheck', 'refresh'], ['info', 'userinfo']) {
    my ($page, $endpoint) = @$way;
    my $who = visitor(3600, "/$page");
    is $who->get("/$page")->header('X-Groups'), 'staff,admin', "$page: claims of the login";
    $op->configure(user => { sub => 'alice', groups => ['staff'] });
    my $gone = OIDC::Nginx::wait_until(sub { $who->get("/$page")->header('X-Groups') eq 'staff' });
    ok $gone, "$page: a group that was taken away is gone after session_recheck";
    cmp_ok $op->count($endpoint), '>', 0, "$page: by $endpoint";
    $op->configure(user => { sub => 'alice', groups => ['staff', 'admin'] });
}
{
    $op->configure(refresh_tokens => 0);
    my $who = visitor(3600, '/info');
    $op->configure(user => { sub => 'alice', groups => ['staff'] });
    ok OIDC::Nginx::wait_until(sub { $who->get('/info')->header('X-Groups') eq 'staff' }), 'without a refresh token UserInfo renews the claims';
    is $op->count('refresh'), 0, 'and nothing is refreshed';
    $who = visitor(3600, '/recheck');
    ok OIDC::Nginx::wait_until(sub { $who->get('/recheck')->status == 302 }), 'with neither the session ends after session_recheck';
    $op->configure(refresh_tokens => 1, user => { sub => 'alice', groups => ['staff', 'admin'] });
}

# ---- somebody leaves ----

{
    my $who = visitor(0);
    $op->hold('refresh');
    my $leaver = $who->send('GET', '/app');
    $op->wait_held('refresh');
    $leaver->close;
    $op->release('refresh');
    is $who->get('/app')->status, 200, 'the refresh of a client that left ends well';
    is $op->count('refresh'), 1, 'it was not begun again';
    is_deeply [$op->refused], [], 'and its refresh token was not lost';
}
for my $round (1 .. 100) {
    my $who = visitor(0);
    my $thief = $browser->fresh;
    my $stolen = $who->cookies->find('NGX_OIDC_SESSION');
    $thief->cookies->put($stolen->{name}, $stolen->{value});
    $op->hold('refresh') if $round % 2;
    my $busy = $who->send('GET', '/app');
    $op->wait_held('refresh') if $round % 2;
    my $out = $who->get('/logout', site => 'same-origin');
    $op->release('refresh') if $round % 2;
    my $answer = $busy->response;
    is_deeply [$out->status, $answer->status == 302 || !($round % 2) ? 1 : 0, has_session($thief)], [302, 1, 0],
        "round $round: a refresh does not bring a signed-out session back";
}

# ---- mistakes ----

my $base = 'oidc_provider p { issuer https://a.example; client_id x; %s }';
like conf_error(sprintf $base, 'session_refresh maybe;'), qr/session_refresh.*it must be "on", "off" or a time/, 'not a time';
like conf_error(sprintf $base, 'session_refresh on now;'), qr/"now" in "session_refresh", only "required"/, 'not required';
like conf_error(sprintf $base, 'session_refresh off required;'), qr/only "required" may follow "on" or a time/, 'off and required';
like conf_error(sprintf $base, 'session_refresh on; session_refresh off;'), qr/duplicate/, 'twice';
is conf_error(sprintf $base, 'session_refresh 5m required; session_recheck 10m;'), undef, 'both together';

done_testing;
