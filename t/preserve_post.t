# A form that meets an ended session: its user is told, and with auth_oidc_preserve_post it is sent again after signing in.
# A form of another site never is, nor one of another user, another login, or one that was changed, is too old, or was sent already.

use strict;
use warnings;

use FindBin;
use lib "$FindBin::Bin/lib";

use OIDC::Test;

is conf_error('auth_oidc_preserve_post maybe;'), 'invalid value "maybe" in "auth_oidc_preserve_post" directive, it must be "on" or "off" in http.conf:1', 'on or off';

my $app = 'proxy_pass http://127.0.0.1:%%PORT_app%%;';
my ($ngx, $op, $browser) = site(
    op       => { tls => 0 },
    nginx    => { workers => 2 },
    provider => 'logout_uri /logout;',
    server   => <<"END",
        location /kept { auth_oidc my_idp; auth_oidc_preserve_post on; $app }
        location /login_mode { auth_oidc my_idp; auth_oidc_preserve_post on; auth_oidc_anonymous login; $app }
        location /deny_mode { auth_oidc my_idp; auth_oidc_preserve_post on; auth_oidc_anonymous deny; $app }
        location /own_page { auth_oidc my_idp; auth_oidc_preserve_post on; error_page 401 =401 /sorry; $app }
        location = /sorry { internal; auth_oidc off; return 200 "the site's own page\\n"; }
END
);
my $here = $browser->resolve('/');

# What a page of this site posts, and what it is answered with.
sub post_form {
    my ($who, $path, %option) = @_;
    return $who->request('POST', $path, from => $here, headers => { 'Content-Type' => 'application/x-www-form-urlencoded', %{ $option{headers} // {} } }, body => $option{body} // 'a=1', map { exists $option{$_} ? ($_ => $option{$_}) : () } qw(site from kind));
}

sub facts {
    my ($answer) = @_;
    my ($sealed) = $answer->body =~ /data-sealed="([^"]*)"/;
    my ($href) = $answer->body =~ /href="([^"]*)"/;
    return { sealed => $sealed, href => defined $href ? OIDC::Browser::html_unescape($href) : undef };
}

sub is_kept {
    my ($answer, $name) = @_;
    is $answer->status, 401, "$name: 401";
    like $answer->body, qr/what you sent has not been processed/, "$name: the page says what happened";
    ok defined facts($answer)->{sealed}, "$name: kept";
}

sub is_not_kept {
    my ($answer, $name, $why) = @_;
    is $answer->status, 401, "$name: 401";
    like $answer->body, qr/what you sent has not been processed/, "$name: the page says what happened";
    ok !defined facts($answer)->{sealed}, "$name: nothing is kept";
    unlike $answer->body, qr/<script/, "$name: and no script is there";
    like $answer->body, $why, "$name: which it says too" if $why;
}

# ---- without the directive ----

is_not_kept post_form($browser->fresh, '/app'), 'off';
is $browser->fresh->get('/oidc_login/post.js')->status == 200 ? 1 : 0, 1, 'the script lies beside login_uri';

# ---- what is kept ----

{
    my $answer = post_form($browser->fresh, '/kept?x=1&y=%2F', body => 'name=J%C3%BCrgen&secret=hunter2&note=a%26b');
    is_kept $answer, 'a form of this site';
    unlike $answer->body, qr/hunter2|Jürgen|J%C3/, 'sealed: nothing of it can be read';
    my $policy = $answer->header('Content-Security-Policy');
    like $policy, qr/default-src 'none'/, 'policy: nothing by itself';
    like $policy, qr/script-src 'self'(?:;|$)/, 'policy: scripts of this site only';
    unlike $policy, qr/unsafe/, 'policy: none inline';
    like $answer->body, qr{<script src="/oidc_login/post\.js" defer></script>}, 'its script is a file';
    unlike $answer->body, qr/<script(?![^>]* src=)|\son\w+=/, 'there is no other';
    my $script = get('/oidc_login/post.js');
    is $script->status, 200, 'script: is there';
    like $script->header('Content-Type'), qr{^text/javascript}, 'script: type';
    is $script->header('X-Content-Type-Options'), 'nosniff', 'script: nosniff';
    is $answer->header('Cache-Control'), 'no-store', 'no-store';
}
is_kept post_form($browser->fresh, '/login_mode'), 'auth_oidc_anonymous login';
is post_form($browser->fresh, '/deny_mode')->header('Content-Type'), 'application/json', 'auth_oidc_anonymous deny: a program is answered as ever';
like post_form($browser->fresh, '/own_page')->body, qr/the site's own page/, "the site's error_page comes first";
is_kept post_form($browser->fresh, '/kept', headers => { 'Sec-Fetch-Site' => undef, 'Sec-Fetch-Mode' => undef, 'Sec-Fetch-Dest' => undef }), 'a browser that sends Origin alone';
is_kept post_form($browser->fresh, '/kept', headers => { 'Content-Type' => 'application/x-www-form-urlencoded;charset=UTF-8' }), 'a charset';
is_kept post_form($browser->fresh, '/kept', body => 'a=' . 'x' x (16 * 1024 - 2)), '16 KB';

# ---- what is not ----

my %bare = map { $_ => undef } qw(Sec-Fetch-Site Sec-Fetch-Mode Sec-Fetch-Dest);
is_not_kept post_form($browser->fresh, '/kept', site => 'cross-site', from => 'https://evil.example/'), 'another site';
is_not_kept post_form($browser->fresh, '/kept', site => 'same-site', from => 'http://other.localhost/'), 'a neighbour';
is_not_kept post_form($browser->fresh, '/kept', site => 'none'), 'nobody';
is_not_kept post_form($browser->fresh, '/kept', site => 'cross-site'), 'cross-site with an Origin of ours';
is_not_kept post_form($browser->fresh, '/kept', headers => { %bare, Origin => 'https://evil.example' }), 'no Sec-Fetch-Site, another Origin';
is_not_kept post_form($browser->fresh, '/kept', headers => { %bare, Origin => 'null' }), 'Origin null';
is_not_kept post_form($browser->fresh, '/kept', headers => { %bare, Origin => undef }), 'neither Sec-Fetch-Site nor Origin';
is_not_kept post_form($browser->fresh, '/kept', headers => { %bare, Origin => $here =~ s{/$}{}r . '.evil.example' }), 'an Origin that begins like ours';
is_not_kept post_form($browser->fresh, '/kept', kind => 'iframe'), 'inside of a frame';
my $why = qr/up to 16 KB/;
is_not_kept post_form($browser->fresh, '/kept', body => 'a=' . 'x' x (16 * 1024 - 1)), 'more than 16 KB', $why;
is_not_kept post_form($browser->fresh, '/kept', body => join('&', ('a') x 5000)), 'thousands of fields', $why;
is_not_kept post_form($browser->fresh, '/kept', headers => { 'Content-Type' => 'multipart/form-data; boundary=x' }, body => "--x--\r\n"), 'multipart', $why;
is_not_kept post_form($browser->fresh, '/kept', headers => { 'Content-Type' => 'text/plain' }), 'another type', $why;
is_not_kept post_form($browser->fresh, '/kept', headers => { 'Content-Type' => undef }), 'no type', $why;
is_not_kept post_form($browser->fresh, '/kept', headers => { 'Content-Type' => undef }, body => ''), 'neither type nor body (CVE-2021-20718, CVE-2025-3891)', $why;
is_not_kept post_form($browser->fresh, '/kept', body => 'a=%E9'), 'text that is no UTF-8', $why;
is_not_kept post_form($browser->fresh, '/kept', body => 'a=%00'), 'a NUL', $why;
is_not_kept post_form($browser->fresh, '/kept', body => '=b'), 'a field without a name', $why;
is_not_kept post_form($browser->fresh, '/kept', body => 'a=%zz'), 'a broken escape', $why;
is_not_kept post_form($browser->fresh, '/kept?' . 'x' x 1300), 'too long a target', $why;
{
    my $chunks = join('', map { sprintf "%x\r\n%s\r\n", length, $_ } ('a=' . 'x' x 30_000) =~ /(.{1,4000})/gs) . "0\r\n\r\n";
    is_not_kept post_form($browser->fresh, '/kept', headers => { 'Content-Length' => undef, 'Transfer-Encoding' => 'chunked' }, body => $chunks), 'too large in chunks', $why;
    is_kept post_form($browser->fresh, '/kept', headers => { 'Content-Length' => undef, 'Transfer-Encoding' => 'chunked' }, body => "3\r\na=1\r\n0\r\n\r\n"), 'in chunks';
}
is $browser->fresh->request('PUT', '/kept', from => $here, headers => { 'Content-Type' => 'application/x-www-form-urlencoded' }, body => 'a=1')->header('Content-Type'),
    'application/json', 'no POST: an answer for programs';

# ---- the way back ----

# As the script does it: signs in from the page's link, opens what it leads to, and brings the form. Options change single steps.
sub come_back {
    my ($who, $kept, %option) = @_;
    my $facts = facts($kept);
    my $callback;
    $op->with(claims => { sub => $option{sub} // 'alice' }, sub { $callback = $who->login($option{href} // $facts->{href}, from => $here, until => 'callback') });
    my $address = $who->resolve($callback->location, $callback->url);
    my $page = $who->get($address, site => 'cross-site');
    return ($page, $address, bring($who, $address, $facts->{sealed}, %option));
}

sub bring {
    my ($who, $address, $sealed, %option) = @_;
    my $body = exists $option{body} ? $option{body} : form_encode([['kept', $sealed]]);
    return $who->request('POST', $address, from => $here, headers => { 'Content-Type' => 'application/x-www-form-urlencoded', %{ $option{headers} // {} } }, body => $body,
        map { exists $option{$_} ? ($_ => $option{$_}) : () } qw(site from));
}

sub form_of {
    my ($page) = @_;
    my ($action) = $page->body =~ /<form method="post" action="([^"]*)"/;
    my @fields = map { [map { OIDC::Browser::html_unescape($_) } @$_] } OIDC::Browser::form_inputs($page->body);
    return (defined $action ? OIDC::Browser::html_unescape($action) : undef, \@fields);
}

{
    my $who = $browser->fresh;
    # CVE-2021-32792: whatever the fields are called and hold, they stay text.
    my @fields = (['na"me', '"><script>alert(1)</script>'], ["it's", "</textarea></form>\x{E2}\x{80}\x{A8}\x{E2}\x{80}\x{A9}"], ['submit', 'dataset'], ['<!--', "line\r\nline"], ['a', '1'], ['a', '2'], ['empty', '']);
    my $kept = post_form($who, '/kept/form?x=1&y=%2F', body => form_encode(\@fields));
    is_kept $kept, 'hostile fields';
    my ($page, $address, $answer) = come_back($who, $kept);
    is $page->status, 200, 'after signing in: a page that brings the form';
    like $page->body, qr{data-step="open"}, 'by our script';
    unlike $page->body, qr/alert|na.me/, 'it knows nothing of what is in it';
    is $answer->status, 200, 'it is opened';
    my ($action, $got) = form_of($answer);
    is $action, '/kept/form?x=1&y=%2F', 'for the address that it was for, byte for byte';
    is_deeply $got, \@fields, 'with every field in its order';
    unlike $answer->body, qr/<script(?! src="\/oidc_login\/post\.js")/, 'and nothing of it has become a script';
    like $answer->header('Content-Security-Policy'), qr/script-src 'self'/, 'policy: scripts of this site';
    my $sent = $who->post($action, $got, from => $address);
    is $sent->status, 200, 'the browser sends it';
    like $sent->body, qr{^app POST /kept/form\?x=1&y=%2F$}m, 'and the application gets it';
    my $again = bring($who, $address, facts($kept)->{sealed});
    is $again->status, 409, 'once: a second time it is not opened';
    unlike $again->body, qr/alert/, 'once: nor shown';
}

# Whom it is refused.
sub refused {
    my ($name, $status, $change, %option) = @_;
    my $who = $browser->fresh;
    $option{before}->($who) if $option{before};
    my $kept = post_form($who, '/kept', body => 'a=hunter2');
    my ($page, $address, $answer) = come_back($who, $kept, %option, $change ? $change->($who, $kept) : ());
    is $answer->status, $status, "$name: $status";
    unlike $answer->body, qr/hunter2/, "$name: nothing of it is shown";
    return ($who, $kept, $address);
}

refused('another site brings it', 403, undef, site => 'cross-site', from => 'https://evil.example/');
refused('a neighbour brings it', 403, undef, site => 'same-site');
refused('an Origin that is not ours', 403, undef, headers => { 'Sec-Fetch-Site' => undef, Origin => 'https://evil.example' });
refused('a form that was changed', 409, sub { my (undef, $kept) = @_; my $sealed = facts($kept)->{sealed}; my $c = substr $sealed, 40, 1; substr($sealed, 40, 1) = $c eq 'A' ? 'B' : 'A'; (body => "kept=$sealed") });
refused('none at all', 409, undef, body => 'other=1');
refused('a form of another page', 409, sub { my ($who) = @_; (body => form_encode([['kept', facts(post_form($who, '/kept'))->{sealed}]])) });
refused('another login than its own', 409, sub { my ($who) = @_; (href => '/oidc_login?provider=my_idp&return_to=' . escape('/oidc_login/post?id=' . 'A' x 22)) });
refused('no form type', 415, undef, headers => { 'Content-Type' => 'application/json' });
{
    my $who = $browser->fresh;
    my $kept = post_form($who, '/kept', body => 'a=hunter2');
    my $href = facts($kept)->{href};
    my ($target) = map { unescape($_) } $href =~ /return_to=([^&]*)/;
    is bring($who, $target, facts($kept)->{sealed})->status, 409, 'before signing in';
    $who->login('/app');
    is bring($who, $target, facts($kept)->{sealed})->status, 409, 'after a login that was for another page';
    # Somebody else's browser that signs in for the same address: the form is not in it; and were it, it is of that login.
    is((come_back($browser->fresh, $kept))[2]->status, 200, 'whoever has the sealed form and signs in for it');
}
{
    # Alice's session ends; Bob signs in where she left off.
    my $who = $browser->fresh;
    $op->with(claims => { sub => 'alice' }, sub { $who->login('/app') });
    ok $who->cookies->find('NGX_OIDC_USER'), 'the browser remembers whose forms they are';
    unlike $who->cookies->find('NGX_OIDC_USER')->{value}, qr/alice/, 'in a way that only we can read';
    $who->cookies->remove('NGX_OIDC_SESSION');
    my $kept = post_form($who, '/kept', body => 'a=hunter2');
    is_kept $kept, 'of a session that ended';
    my ($page, $address, $answer) = come_back($who, $kept, sub => 'bob');
    is $answer->status, 409, 'another user: not sent';
    unlike $answer->body, qr/hunter2/, 'another user: nor shown';
    $who = $browser->fresh;
    $op->with(claims => { sub => 'alice' }, sub { $who->login('/app') });
    $who->cookies->remove('NGX_OIDC_SESSION');
    ($page, $address, $answer) = come_back($who, post_form($who, '/kept', body => 'a=hunter2'));
    is $answer->status, 200, 'the same user: sent';
    $who->get('/logout', site => 'same-origin');
    ok !$who->cookies->find('NGX_OIDC_USER'), 'signing out forgets it';
}
is get('/oidc_login/post')->status, 400, 'an address without an id';
is get('/oidc_login/post?id=short')->status, 400, 'with one that is none';
is $browser->request('DELETE', '/oidc_login/post?id=' . 'A' x 22)->status, 405, 'another method';
unlike $ngx->error_log . $ngx->access_log, qr/hunter2/, 'no log holds what was in a form';

$ngx->stop;

# ---- of two providers ----

{
    my $uris = 'redirect_uri /other_callback; cookie_name OTHER; login_uri /other_login;';
    my ($two, undef, $who) = site(op => $op, auth => 'auth_oidc my_idp other; auth_oidc_preserve_post on;', http => provider_conf($op, name => 'other', provider => $uris));
    my $kept = $who->request('POST', '/app', from => $who->resolve('/'), headers => { 'Content-Type' => 'application/x-www-form-urlencoded' }, body => 'a=hunter2');
    is_kept $kept, 'several providers';
    my $choice = $who->get(facts($kept)->{href}, from => $who->resolve('/'));
    my ($link) = grep { /provider=other/ } map { OIDC::Browser::html_unescape($_) } $choice->body =~ /href="([^"]*)"/g;
    my ($page, $address, $answer) = come_back($who, $kept, href => $link, from => $who->resolve('/'));
    is $answer->status, 200, 'several providers: whichever is chosen';
    is_deeply [(form_of($answer))[1]], [[['a', 'hunter2']]], 'several providers: the form is there';
    $two->stop;
}

# ---- too old ----

{
    my $life = $ENV{OIDC_VALGRIND} ? 30 : 2;
    my ($short, undef, $who) = site(op => $op, auth => 'auth_oidc my_idp; auth_oidc_preserve_post on;', provider => "login_timeout ${life}s;");
    my $kept = $who->request('POST', '/app', from => $who->resolve('/'), headers => { 'Content-Type' => 'application/x-www-form-urlencoded' }, body => 'a=hunter2');
    my $since = time;
    OIDC::Nginx::wait_until(sub { time > $since + $life + 1 }, 2 * $life + 10);
    my ($page, $address, $answer) = come_back($who, $kept, from => $who->resolve('/'));
    is $answer->status, 409, 'older than login_timeout: not sent';
    $short->stop;
}

done_testing;
