# Signing out at logout_uri: who may, what ends, where it leads, and what comes back.

use strict;
use warnings;

use FindBin;
use lib "$FindBin::Bin/lib";

use OIDC::Test;

my $session = 'NGX_OIDC_SESSION_my_idp';
my $op = OIDC::Provider->new(tls => 0);
my $bare = OIDC::Provider->new(tls => 0, metadata => { end_session_endpoint => undef });
my ($ngx, undef, $browser) = site(
    op => $op,
    provider => 'logout_uri /logout; post_logout_uri /bye;',
    http => provider_conf($op, name => 'absolute', provider => 'logout_uri /absolute_logout; post_logout_uri http://localhost:%%PORT_site%%/bye; logout_token_hint on;')
        . provider_conf($op, name => 'nowhere', provider => 'logout_uri /nowhere_logout;')
        . provider_conf($bare, name => 'bare', provider => 'logout_uri /bare_logout; post_logout_uri /bye;')
        . provider_conf($bare, name => 'quiet', provider => 'logout_uri /quiet_logout;'),
    server => join('', map { "location /$_ { auth_oidc $_; try_files /none \@app; } " } qw(absolute nowhere bare quiet))
        . 'location @app { auth_oidc off; return 200 "in\n"; } location = /bye { return 200 "bye\n"; } location = /bye_served { try_files /none @app; }',
);
my $base = $browser->{base};
sub visitor { my $who = $browser->fresh; $who->login($_[0] // '/app'); return $who }
sub gone { my ($who, $path) = @_; return $who->get($path // '/app')->status != 200 }
my $end_session = qr/^\Q@{[$op->issuer]}\E\/end_session\?/;

# ---- who may ----

for my $case (['same-origin', { site => 'same-origin' }], ['typed in', { site => 'none' }], ['without Sec-Fetch-Site, Referer of ours', { kind => 'none', headers => { Referer => "$base/app" } }],
    ['without Sec-Fetch-Site, Origin of ours', { kind => 'none', headers => { Origin => $base } }]) {
    my $who = visitor();
    my $cookie = $who->cookies->find($session)->{value};
    my $answer = $who->get('/logout', %{ $case->[1] });
    like $answer->location // $answer->status, $end_session, "$case->[0]: acts at once";
    my $set = $answer->cookie($session);
    is_deeply [@$set{qw(value max_age path httponly samesite)}], ['', 0, '/', 1, 'Lax'], "$case->[0]: the cookie is deleted as it was set";
    $who->cookies->put($session, $cookie);
    ok gone($who), "$case->[0]: the session is over on this side too";
}
for my $case (['cross-site', { site => 'cross-site' }], ['same-site', { site => 'same-site' }], ['without any header', { kind => 'none' }],
    ['Referer of somebody else', { kind => 'none', headers => { Referer => 'https://evil.example/' } }],
    ['Referer that begins like ours', { kind => 'none', headers => { Referer => "$base.evil.example/" } }],
    ['Referer with our name as user', { kind => 'none', headers => { Referer => "$base\@evil.example/" } }],
    ['Origin null', { kind => 'none', headers => { Origin => 'null', Referer => "$base/" } }],
    ['cross-site with a Referer of ours', { site => 'cross-site', headers => { Referer => "$base/" } }]) {
    my $who = visitor();
    my $answer = $who->get('/logout', %{ $case->[1] });
    is $answer->status, 200, "$case->[0]: a page that asks";
    like $answer->body, qr/<form method="post" action="\/logout"/, "$case->[0]: with a form";
    is_deeply [$answer->set_cookies], [], "$case->[0]: nothing ends";
    ok !gone($who), "$case->[0]: still signed in";
    like $answer->header('Content-Security-Policy'), qr/form-action 'self' \Q@{[$op->issuer]}\E/, "$case->[0]: the form may lead to the provider";
}
{
    my $who = visitor();
    my $page = $who->get('/logout', site => 'cross-site');
    my $done = $who->submit($page);
    like $done->location, $end_session, 'the button signs out';
    ok gone($who), 'for good';
}
{
    # Without Sec-Fetch-Site and Origin the token alone decides.
    my $who = visitor();
    my ($input) = OIDC::Browser::form_inputs($who->get('/logout', site => 'cross-site')->body);
    my $token = $input->[1];
    secret($token);
    my $other = visitor();
    my %foreign = (kind => 'none', headers => { Origin => 'https://evil.example' });
    for my $case (['no token', {}], ['an empty token', { token => '' }], ['a forged token', { token => 'A' x 60 }], ['a token cut short', { token => substr $token, 0, -1 }],
        ['a token twice, the wrong one first', [[token => 'x'], [token => $token]]]) {
        my $answer = $who->post('/logout', $case->[1], %foreign);
        is $answer->status, 200, "$case->[0]: the page again";
        ok !gone($who), "$case->[0]: still signed in";
    }
    $other->post('/logout', { token => $token }, %foreign);
    ok !gone($other), 'a token of another session: still signed in';
    is $who->request('POST', '/logout', body => 'x' x 70_000, %foreign, headers => { %{ $foreign{headers} }, 'Content-Type' => 'application/x-www-form-urlencoded' })->status, 413, 'a body of 70,000 bytes: 413';
    my $json = $who->request('POST', '/logout', body => '{}', kind => 'none', headers => { Origin => 'https://evil.example', 'Content-Type' => 'application/json' });
    is $json->status, 415, 'a body that is no form: 415';
    is $json->header('Cache-Control'), 'no-store', 'which is an answer of ours';
    ok !gone($who), 'still signed in';
    my ($chunked) = $who->raw("POST /logout HTTP/1.1\r\nHost: @{[$base =~ s{^http://}{}r]}\r\nOrigin: https://evil.example\r\nContent-Type: application/x-www-form-urlencoded\r\n"
        . "Transfer-Encoding: chunked\r\nConnection: close\r\nCookie: $session=" . $who->cookies->find($session)->{value} . "\r\n\r\n"
        . sprintf("%x\r\ntoken=\r\n%x\r\n%s\r\n0\r\n\r\n", 6, length escape($token), escape($token)));
    like $chunked->location // $chunked->status, $end_session, 'the right token, in chunks: signed out';
}
{
    my $who = visitor();
    my $answer = $who->post('/logout', {}, from => "$base/app");
    like $answer->location // $answer->status, $end_session, 'a form of our own page: at once';
}
is visitor()->request($_, '/logout')->status, 405, "$_: 405" for qw(PUT DELETE);

# ---- what the provider is told ----

{
    my $query = visitor()->get('/logout', site => 'none')->query;
    is_deeply [sort keys %$query], [qw(client_id post_logout_redirect_uri state)], 'client_id, post_logout_redirect_uri and state, no more';
    is_deeply [@$query{qw(client_id post_logout_redirect_uri)}], [$op->client_id, "$base/bye"], 'a path is made absolute';
    like $query->{state}, qr/^[A-Za-z0-9_-]{43}$/, 'a fresh state';
    my $hint = visitor('/absolute')->get('/absolute_logout', site => 'none')->query;
    is $hint->{post_logout_redirect_uri}, "$base/bye", 'an absolute post_logout_uri';
    is scalar(split /\./, $hint->{id_token_hint} // ''), 3, 'logout_token_hint on: the ID token';
    secret($hint->{id_token_hint});
    my $none = visitor('/nowhere')->get('/nowhere_logout', site => 'none')->query;
    is_deeply [sort keys %$none], ['client_id'], 'without post_logout_uri: neither it nor a state';
}
{
    my $who = visitor('/bare');
    my $answer = $who->get('/bare_logout', site => 'none');
    is $answer->location, "$base/bye", 'without end_session_endpoint: to post_logout_uri';
    ok gone($who, '/bare'), 'signed out';
    $who = visitor('/quiet');
    $answer = $who->get('/quiet_logout', site => 'none');
    is $answer->status, 200, 'without both: the built-in page';
    like $answer->body, qr/signed out/i, 'which says so';
    like $answer->header('Cache-Control'), qr/no-store/, 'and is not kept';
    ok gone($who, '/quiet'), 'signed out';
}
is $browser->fresh->get('/logout', site => 'cross-site')->location, "$base/bye", 'without a session: on to post_logout_uri, nothing to ask';

# ---- return_to ----

is visitor('/quiet')->get('/quiet_logout?return_to=/next%3Fa=b', site => 'none')->location, "$base/next?a=b", 'return_to, without a provider to go to';
for my $evil ('https://evil.example/', '/\\evil.example', 'evil', "/\r\nX: y") {
    is visitor('/bare')->get('/bare_logout?return_to=' . escape($evil), site => 'none')->location, "$base/bye", 'return_to ' . ($evil =~ s/\s/_/gr) . ': not followed';
}
is visitor('/quiet')->get('/quiet_logout?return_to=//evil.example/', site => 'none')->location, "$base//evil.example/", 'return_to //host stays on this site';
{
    my $who = visitor();
    my $page = $who->get('/logout?return_to=/next', site => 'cross-site');
    my $back = $who->follow($who->submit($page));
    is $back->url, "$base/next", 'return_to outlives the question and the way over the provider';
}

# ---- what comes back ----

{
    my $who = visitor();
    my $answer = $who->get('/logout', site => 'none');
    my $cookie = $answer->cookie('NGX_OIDC_LOGOUT');
    is_deeply [@$cookie{qw(httponly samesite path)}], [1, 'Lax', '/'], 'a short cookie holds the state';
    cmp_ok $cookie->{max_age}, '<=', 600, 'for ten minutes';
    unlike $cookie->{value}, qr/\Q@{[$answer->query->{state}]}\E/, 'sealed';
    my $mark = $ngx->log_mark;
    my $back = $who->approve($answer)->location;
    my $page = $who->get($back, site => 'cross-site');
    is $page->body, "bye\n", 'back at post_logout_uri: the page of the site';
    is $page->cookie('NGX_OIDC_LOGOUT')->{max_age}, 0, 'the cookie is deleted';
    like $page->header('Cache-Control'), qr/private, no-store/, 'and that answer is not kept';
    is $who->cookies->find('NGX_OIDC_LOGOUT'), undef, 'it has left the jar';
    is_deeply [$who->get('/bye')->set_cookies], [], 'a second visit sets nothing';
    unlike substr($ngx->error_log, $mark), qr/is not the one that was sent/, 'the right state: no line in the log';
}
for my $case (['another state', sub { $_[0] =~ s/state=[^&]*/state=evil/r }], ['no state', sub { $_[0] =~ s/\?.*//r }], ['a longer state', sub { "$_[0]x" }]) {
    my $who = visitor();
    my $answer = $who->get('/logout?return_to=/next', site => 'none');
    my $mark = $ngx->log_mark;
    my $page = $who->get($case->[1]->($who->approve($answer)->location), site => 'cross-site');
    is $page->body, "bye\n", "$case->[0]: the page of the site, and no return_to";
    is $page->cookie('NGX_OIDC_LOGOUT')->{max_age}, 0, "$case->[0]: the cookie is deleted";
    ok $ngx->wait_log(qr/\[info\].*state that came back from a sign-out is not the one that was sent/, $mark), "$case->[0]: a line in the log";
    ok gone($who), "$case->[0]: signed out all the same";
}
{
    my $who = $browser->fresh;
    $who->cookies->put('NGX_OIDC_LOGOUT', 'junk');
    is $who->get('/bye?state=x')->body, "bye\n", 'a cookie that does not open changes nothing';
}

# ---- the provider is away ----

{
    my $who = visitor();
    $op->down;
    my $answer = $who->get('/logout', site => 'none');
    like $answer->location, $end_session, 'provider away: its metadata still says where to go';
    ok gone($who, '/absolute'), 'provider away: signed out here';
    $op->up;
}
{
    my $who = $browser->fresh;
    for (1 .. 4) {
        $who->login('/app');
        $who->get('/logout', site => 'none');
    }
    is $who->login('/app')->status, 200, 'whoever signs in and out many times in a minute is in no loop';
}
{
    my $away = OIDC::Provider->new(tls => 0);
    my $site = OIDC::Nginx->new(http => site_conf($away, provider => 'logout_uri /logout; post_logout_uri /bye;'))->start;
    my $who = browser($site, $away);
    $away->down;
    my $answer = $who->get('/logout', site => 'none');
    is $answer->location, "$who->{base}/bye", 'provider never seen: on to post_logout_uri';
    $away->up;
    $site->stop;
}

done_testing;
