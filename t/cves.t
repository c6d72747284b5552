# What went wrong in others, tried on us: advisories of mod_auth_openidc, oauth2-proxy, Envoy, Traefik, Caddy, Pomerium and Authelia whose test has
# no better place. Those that have one: back-channel tokens (backchannel.t), algorithms and keys (id_token.t, CVE-2024-33531), header aliases
# per directive (set_header.t), neighbours and sub-requests (neighbours.t, GHSA-98m5-m556-8684), deletion of cookies (cookie_attributes.t,
# CVE-2025-55162), clients that leave (lifecycle.t, CVE-2026-48090), secrets in logs (logs.t), forms kept over a login (preserve_post.t, CVE-2025-3891).

use strict;
use warnings;

use FindBin;
use lib "$FindBin::Bin/lib";

use OIDC::Echo;
use OIDC::Test;

my $echo_port = OIDC::Nginx::free_port();
my $echo = OIDC::Echo->start($echo_port);
my $up = "proxy_pass http://127.0.0.1:$echo_port;";
my ($ngx, $op, $browser) = site(
    op       => { tls => 0 },
    provider => 'logout_uri /logout; session_uri /me; frontchannel_logout_uri /front; backchannel_logout_uri /back; response_mode form_post;',
    location => 'auth_oidc_preserve_post on;',
    server   => <<"END",
        underscores_in_headers on;
        ignore_invalid_headers off;
        location /allowed { auth_oidc my_idp; auth_oidc_anonymous allow; auth_oidc_set_header X-User \$oidc_claim_sub; $up }
        location /off { auth_oidc off; auth_oidc_set_header X-User \$oidc_claim_sub; $up }
        location /any { satisfy any; allow all; auth_oidc my_idp; auth_oidc_set_header X-User \$oidc_claim_sub; $up }
        location /closed { auth_oidc my_idp; auth_oidc_set_header X-User \$oidc_claim_sub; $up }
END
);
my $base = $browser->{base};
my $authorize = $op->issuer . '/authorize';
my @workers = $ngx->worker_pids;
my %form = ('Content-Type' => 'application/x-www-form-urlencoded');
sub visitor { my $who = $browser->fresh; $who->login('/app'); return $who }

# ---- where a redirect leads (CVE-2017-1000070, -2019-14857, -2019-20479, -2020-4037, -2020-5233, -2020-11053, -2021-32786, -2021-39191,
# -2022-23527, -2022-28923, -2026-83589, GHSA-6qq8-5wq3-86rp, GHSA-h924-8g65-j9wg) ----

# After scheme, host, port and a slash of ours no reading of an address, however lax, leads elsewhere.
sub stays { my ($answer, $name) = @_; return is $answer->status, 400, $name if $name =~ /\\x00/; like $answer->location // '', qr{^\Q$base\E/}, $name; unlike $answer->location // '', qr/[\x00-\x20\x7f\\]/, "$name: clean" }

my @evil = (
    'https://evil.example/', 'http:evil.example', 'https:/evil.example', 'https:\\\\evil.example', '//evil.example', '///evil.example', '////evil.example/%2e%2e',
    '/\\evil.example', '\\/evil.example', '\\\\evil.example', '/\\/evil.example', '/./\\evil.example', '/../../\\evil.example', '/.\\evil.example', '/%5cevil.example',
    '/%5C%5Cevil.example/%252e%252e%252f', '/%09/evil.example', "/\t/evil.example", "/\n/evil.example", "/\r/evil.example", "/\x0b/evil.example", "/\x0c/evil.example",
    "/\x00/evil.example", "/ /evil.example", "\t//evil.example", ' //evil.example', '/%0d//evil.example', '/%0a/evil.example', '/%2f%2fevil.example', '%2f%2fevil.example',
    '@evil.example', ':80@evil.example', '.evil.example', '/@evil.example', '?//evil.example', '#//evil.example', 'javascript:alert(1)', 'JaVaScRiPt:alert(1)', "java\tscript:alert(1)",
    'data:text/html,x', "$base\@evil.example/", "$base.evil.example/", "$base:x/", 'evil.example', "/x\r\nSet-Cookie: a=b", "/\xe2\x80\xa8/evil.example", '/' . '/' x 1300 . 'evil.example',
);
for my $evil (@evil) {
    my $shown = substr $evil =~ s/([^!-~])/sprintf '\\x%02x', ord $1/ger, 0, 40;
    my $who = $browser->fresh;
    for my $parameter (qw(return_to target_link_uri)) {
        my $answer = $who->fresh->login("/oidc_login?provider=my_idp&$parameter=" . escape($evil), until => 'callback');
        stays($answer, "login $parameter $shown");
    }
    # The session's own cookie is enough for the way out.
    my $left = visitor()->get('/logout?return_to=' . escape($evil), site => 'none', follow => 1);
    unlike $left->url, qr/evil\.example(?!.*localhost)|^https?:\/\/(?!localhost|127\.0\.0\.1)/, "logout return_to $shown: " . substr $left->url, 0, 40;
}
# The same as what is asked for, byte for byte, with which a login comes back.
for my $target ('//evil.example/x', '//evil.example', '/\\evil.example', '/%5cevil.example', '/%09/evil.example', '//evil.example%2f..', '/.//evil.example', '///evil.example') {
    my ($answer) = $browser->raw("GET $target HTTP/1.1\r\nHost: " . ($base =~ s{http://}{}r) . "\r\nAccept: text/html\r\nConnection: close\r\n\r\n");
    next if $answer->status == 400;
    my $who = $browser->fresh;
    is $answer->status, 302, "GET $target: to the provider";
    $who->received($answer, OIDC::Browser::parse_url($base));
    my $back = $who->submit($who->get($answer->location, from => "$base/"));
    is $back->location, "$base$target", "GET $target: back to it on this site";
}

# ---- text that comes back (CVE-2017-6059, CVE-2019-1010247, lua-resty-openidc #306, oauth2-proxy #2188) ----

my $script = '"><script>alert(1)</script>\'&<svg onload=x>';
my $split = "x\r\nX-Injected: yes\r\n\r\n<html>";
for my $text ($script, $split) {
    my $name = $text eq $script ? 'script' : 'line ends';
    my @answers = (
        (map { my $p = $_; $browser->fresh->post('/oidc_callback', [[state => 's' x 43], [$p => $text]], from => $op->issuer . '/') } qw(error error_description error_uri code iss session_state x)),
        $browser->fresh->post('/oidc_callback', [[state => $text], [code => 'x']], from => $op->issuer . '/'),
        (map { $browser->fresh->get("/oidc_login?$_=" . escape($text)) } qw(provider iss return_to target_link_uri login_hint prompt)),
        visitor()->get('/logout?return_to=' . escape("/$text"), site => 'cross-site'),
        $browser->fresh->get('/front?sid=' . escape($text) . '&iss=' . escape($text)), $browser->fresh->get('/oidc_login/post?id=' . escape($text)),
        $browser->fresh->post('/app?' . escape($text), [[$text => $text]], from => "$base/"), $browser->fresh->get('/app?poll=' . escape($text), kind => 'iframe'),
        $browser->fresh->get('/app?' . escape($text), kind => 'fetch'),
    );
    $op->with(callback => { error => 'access_denied', error_description => $text, code => undef }, sub { push @answers, $browser->fresh->login('/app', until => 'callback') });
    is scalar(grep { $_->body =~ /<script>|<svg onload/ } @answers), 0, "$name: never as markup";
    is scalar(grep { defined $_->header('X-Injected') } @answers), 0, "$name: never a header";
    my @pages = grep { ($_->header('Content-Type') // '') =~ /html/ } @answers;
    cmp_ok scalar @pages, '>', 8, "$name: pages of all kinds";
    is scalar(grep { ($_->header('Content-Security-Policy') // '') !~ /default-src 'none'/ || ($_->header('X-Content-Type-Options') // '') ne 'nosniff' } @pages), 0, "$name: each with policy and nosniff";
    is scalar(grep { ($_->header('Content-Security-Policy') // '') =~ /unsafe-inline|unsafe-eval/ } @pages), 0, "$name: none allows what is inline";
}

# ---- what is missing, doubled, empty, huge (CVE-2021-20718, CVE-2023-27496, GHSA-8vc2-jrm4-835w, CVE-2021-32637) ----

for my $path (qw(/oidc_callback /oidc_login /logout /me /front /front/ /back /oidc_login/post /oidc_login/post.js /app /allowed)) {
    for my $method (qw(GET POST PUT HEAD OPTIONS)) {
        for my $case (['nothing', ''], ['an empty body', "Content-Length: 0\r\n"], ['an empty type', "Content-Type: \r\nContent-Length: 0\r\n"], ['an empty form', "Content-Type: application/x-www-form-urlencoded\r\nContent-Length: 0\r\n"]) {
            my ($answer) = $browser->raw("$method $path HTTP/1.1\r\nHost: localhost\r\n$case->[1]Connection: close\r\n\r\n", method => $method);
            ok $answer && $answer->status =~ /^[234]\d\d$/, "$method $path with $case->[0]: " . ($answer ? $answer->status : 'no answer');
        }
    }
}
my %full = (code => 'x', state => 's' x 43, iss => $op->issuer);
for my $name (sort keys %full) {
    for my $case (['missing', undef], ['empty', ''], ['of 60,000 bytes', 'x' x 60_000]) {
        my %these = (%full, $name => $case->[1]);
        my $answer = $browser->fresh->post('/oidc_callback', [map { defined $these{$_} ? [$_ => $these{$_}] : () } sort keys %these], from => $op->issuer . '/');
        is $answer->status, 400, "callback with $name $case->[0]";
    }
    is $browser->fresh->post('/oidc_callback', [map { [$_ => $full{$_}] } $name, sort keys %full], from => $op->issuer . '/')->status, 400, "callback with $name doubled";
}
for my $line ('CONNECT localhost:80 HTTP/1.1', 'OPTIONS * HTTP/1.1', 'GET http://localhost/app HTTP/1.1', 'GET http://evil.example/app HTTP/1.1', 'GET /app#/off HTTP/1.1', 'GET /% HTTP/1.1', 'GET /app/%zz HTTP/1.1',
    'GET /app/%00 HTTP/1.1', 'GET /off/..%2fapp HTTP/1.1', 'GET /app HTTP/1.0', 'BREW /app HTTP/1.1') {
    my ($answer) = $browser->raw("$line\r\nHost: localhost\r\nConnection: close\r\n\r\n");
    ok !$answer || $answer->status =~ /^(?:302|4\d\d)$/, "$line: not let in" . ($answer ? ', ' . $answer->status : '');
}
for my $host ('', 'x y', 'localhost:x', 'LOCALHOST.', 'user@localhost', 'evil.example', 'localhost/app', '[::1', "localhost\tx", 'a' x 300) {
    my ($answer) = $browser->raw("GET /app HTTP/1.1\r\nHost: $host\r\nAccept: text/html\r\nConnection: close\r\n\r\n");
    ok !$answer || $answer->status =~ /^(?:302|4\d\d)$/, 'Host ' . substr($host, 0, 20) . ': not let in';
    unlike $answer ? $answer->location // '' : '', qr/evil|user%40|redirect_uri=[^&]*%20/, 'Host ' . substr($host, 0, 20) . ': sent nowhere else';
}
is get('/oidc_callback', headers => { Host => 'evil.example' })->status =~ /^4/ ? 1 : 0, 1, 'a callback under a foreign name';

# ---- cookies of every shape (CVE-2023-28625, CVE-2024-24814, vouch, traefik-oidc-auth #291) ----

my $sid = visitor()->cookies->find('NGX_OIDC_SESSION')->{value};
for my $line (';', ';;', ' = ', '=', '=;=', "\t", ' ', 'NGX_OIDC_SESSION=', 'NGX_OIDC_SESSION==', '=NGX_OIDC_SESSION', "NGX_OIDC_SESSION=$sid$sid", 'NGX_OIDC_SESSION=' . 'A' x 43, 'NGX_OIDC_SESSION=%s%n%p',
    "NGX_OIDC_SESSION=\xff\xfe", "NGX_OIDC_SESSION=\"$sid", 'NGX_OIDC_SESSION_0=x; NGX_OIDC_SESSION_1=y', 'NGX_OIDC_SESSION_-1=x', 'NGX_OIDC_SESSION_99999999999=x', 'NGX_OIDC_SESSION=-1.x', 'NGX_OIDC_SESSION=99999999999.x',
    'NGX_OIDC_SESSION=abc.x', join('; ', map { "NGX_OIDC_SESSION=$_" } 1 .. 200), join('; ', map { "NGX_OIDC_LOGIN_$_=x" } 1 .. 200), 'NGX_OIDC_USER=x', 'NGX_OIDC_LOOP=x; NGX_OIDC_LOGOUT=y') {
    for my $path ('/app', '/allowed/x', '/off/x') {
        my $answer = $browser->fresh->get($path, cookies => $line =~ /^[\s;=]*$/ ? 0 : $line, headers => $line =~ /^[\s;=]*$/ ? { Cookie => $line } : {});
        like $answer->status, $path eq '/app' ? qr/^302$/ : qr/^200$/, "$path with " . substr $line =~ s/[^!-~]/_/gr, 0, 30;
        unlike $answer->body, qr/NGX_OIDC_(?:SESSION|LOGIN|USER|LOOP)(?!_)/, 'and none of ours goes on' if $path ne '/app' && $line !~ /SESSION_|^=NGX/;
    }
}
is $browser->fresh->get('/app', cookies => "NGX_OIDC_SESSION=x; NGX_OIDC_SESSION=$sid; NGX_OIDC_SESSION=y")->status, 200, 'a valid one among others is found';

# ---- one answer for whatever does not open (CVE-2026-47775, CVE-2021-29651) ----

{
    my %seen;
    for my $at (0, 1, 5, 10, 17, 25, 40, 80, -20, -10, -2) {
        my $who = $browser->fresh;
        my $page = $who->approve($who->begin('/app'));
        my ($ticket) = grep { $_->{name} =~ /LOGIN_/ } $who->cookies->all;
        my $value = $ticket->{value};
        substr($value, $at, 1) = substr($value, $at, 1) eq 'A' ? 'B' : 'A';
        $ticket->{value} = $value;
        my $answer = $who->submit($page);
        my $text = join "\n", $answer->status, (map { "$_->[0]: $_->[1]" } grep { $_->[0] ne 'Date' } @{ $answer->{headers} }), $answer->body =~ s/<code>[0-9a-f]+/<code>/r;
        $seen{$text}++;
        is $answer->status, 400, "a ticket changed at $at";
    }
    is scalar(keys %seen), 1, 'all of them are answered alike, to the byte';
}

# ---- the answer is ours alone (CVE-2025-31492, CVE-2022-29228) ----

for my $method (qw(GET POST PUT DELETE)) {
    my $body = $method =~ /^P/ ? "Content-Length: 3\r\n" : '';
    my @answers = $browser->raw("$method /closed/x HTTP/1.1\r\nHost: localhost\r\nAccept: text/html\r\n$body\r\n" . ($body ? 'a=1' : '') . "GET /open HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n", method => $method);
    is scalar @answers, 2, "$method: one answer to each of two requests";
    isnt $answers[0]->status, 200, "$method: the first is refused";
    unlike $answers[0]->body, qr/HTTP\/1|Host: localhost/, "$method: and has nothing of the application";
    is $answers[1]->body, "open\n", "$method: the second is what it asked for";
}

# ---- headers that an application trusts (CVE-2017-6062, -2017-6413, -2025-64484, -2026-33433, -39858, -54763, -88011) ----

my @aliases = ('X-User', 'x-user', 'X_User', 'X.User', 'X-uSER', 'x_user', 'X.user', 'X_USER');
for my $path (qw(/allowed /off /any)) {
    for my $kind (['a stranger', {}], ['a stranger with a bearer', { Authorization => 'Bearer x' }], ['an upgrade', { Upgrade => 'websocket', Connection => 'upgrade' }], ['a forged session', { Cookie => 'NGX_OIDC_SESSION=x' }]) {
        my $answer = $browser->fresh->get("$path/x", headers => { %{ $kind->[1] }, map { ($_ => 'mallory') } @aliases[0, 2, 3] });
        unlike $answer->body, qr/mallory/, "$path, $kind->[0]: no spelling gets through";
    }
}
for my $alias (@aliases) {
    my $answer = $browser->fresh->get('/closed/x', cookies => "NGX_OIDC_SESSION=$sid", headers => { $alias => 'mallory' });
    is_deeply [$answer->body =~ /^(x[-_.]user: .*?)\r$/mgi], ['X-User: alice'], "$alias beside a session: ours is the only one";
}

# ---- nothing that a client says opens (CVE-2026-34457, -2026-40575, -2026-76835, -2025-54576, -2026-41059, -2022-29226, dozzle #4305) ----

my @claims = (['a health check', 'User-Agent' => 'kube-probe/1.29'], ['another', 'User-Agent' => 'GoogleHC/1.0'], ['an event stream', Accept => 'text/event-stream'], ['an upgrade', Upgrade => 'websocket', Connection => 'upgrade'],
    ['grpc', 'Content-Type' => 'application/grpc'], ['X-Forwarded-Uri', 'X-Forwarded-Uri' => '/off', 'X-Original-Url' => '/off', 'X-Rewrite-Url' => '/off'], ['X-Forwarded-Method', 'X-Forwarded-Method' => 'OPTIONS', 'X-HTTP-Method-Override' => 'OPTIONS'],
    ['X-Forwarded-For', 'X-Forwarded-For' => '127.0.0.1', 'X-Real-IP' => '127.0.0.1', Forwarded => 'for=127.0.0.1'], ['X-Forwarded-Prefix', 'X-Forwarded-Prefix' => '/off'], ['a bearer', Authorization => 'Bearer ' . 'x' x 40],
    ['basic', Authorization => 'Basic eDp4'], ['a preflight', Origin => 'https://evil.example', 'Access-Control-Request-Method' => 'GET'], ['Range', Range => 'bytes=0-'], ['Expect', Expect => '100-continue'], ['identity', 'X-Remote-User' => 'alice', 'Remote-User' => 'alice']);
for my $claim (@claims) {
    my ($name, %headers) = @$claim;
    for my $path ('/closed', '/closed?x=/off', '/closed%23/off', '/closed/%2e%2e/closed', '/closed;/off', '/closed/..%2f', '/app?token=x&access_token=y&id_token=z') {
        for my $method (qw(GET OPTIONS)) {
            my $answer = $browser->fresh->request($method, $path, kind => 'navigate', headers => \%headers);
            like $answer->status, qr/^(?:302|401)$/, "$method $path with $name: not let in";
            unlike $answer->location // '', qr/evil|%2Foff|127\.0\.0\.1%3A80/, "$method $path with $name: sent to where it would be without" if $answer->location && $path eq '/closed';
        }
    }
}

# ---- sessions, and whose they are (GHSA-gcc4-wwpg-r8q8, CVE-2024-39315, CVE-2024-21492) ----

{
    my $who = $browser->fresh;
    $who->cookies->put('NGX_OIDC_SESSION', $sid);
    $op->with(claims => { sub => 'mallory' }, sub { $who->login('/oidc_login?provider=my_idp&return_to=/app') });
    isnt $who->cookies->find('NGX_OIDC_SESSION')->{value}, $sid, 'a planted session is not the one after the login';
    my $mine = $who->get('/me')->body;
    unlike $mine, qr/eyJ|access_token|refresh_token|id_token/, 'session_uri shows no token';
    $op->forget;
    $who->fresh->get('/front?iss=' . escape($op->issuer) . '&sid=x', kind => 'iframe');
    is scalar($op->journal), 0, 'an unauthenticated front-channel logout calls nobody';
    my $value = $who->cookies->find('NGX_OIDC_SESSION')->{value};
    $who->get('/logout', site => 'same-origin');
    isnt $browser->fresh->get('/app', cookies => "NGX_OIDC_SESSION=$value")->status, 200, 'a session that was signed out is over, whoever kept its cookie';
}

is_deeply [$ngx->worker_pids], \@workers, 'and the worker has lived through all of it';

done_testing;
