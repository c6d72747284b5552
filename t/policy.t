# Rules hang on nginx's own choice of a location: no spelling of a path, no method, header or protocol, and no internal
# redirect leads past them. What is guarded is a file: whoever gets its text has come past.

use strict;
use warnings;

use FindBin;
use lib "$FindBin::Bin/lib";

use IO::Socket::INET;
use OIDC::Echo;
use OIDC::Test;

my $ngx = OIDC::Nginx->new;
my $echo = OIDC::Echo->start($ngx->port('echo'));
my $op = OIDC::Provider->new(tls => 0);
my $proxy = 'proxy_pass http://127.0.0.1:%%PORT_echo%%;';
$ngx->configure(http => provider_conf($op) . <<"END");
server {
    listen 127.0.0.1:%%PORT_site%%;
    listen 127.0.0.1:%%PORT_h2%% http2;
    server_name localhost;
    root %%DIR%%/files;
    auth_oidc my_idp;
    location / { }
    location /admin/ { auth_oidc_require groups admins; }
    location = /exact { auth_oidc_require groups admins; }
    location ~ \\.guarded\$ { auth_oidc_require groups admins; }
    location ^~ /prefix/ { auth_oidc_require groups admins; location ~ \\.txt\$ { } location /prefix/inner/ { } }
    location /public/ { auth_oidc off; }
    location /back/ { auth_oidc off; proxy_pass http://127.0.0.1:%%PORT_echo%%/accel/; }
    location /rewritten { auth_oidc off; rewrite ^ /admin/file last; }
    location /tried { auth_oidc off; try_files /none /admin/file; }
    location /error { auth_oidc off; error_page 404 /admin/file; try_files /none =404; }
    location /error_code { auth_oidc off; error_page 404 = /admin/file; try_files /none =404; }
    location /named { auth_oidc off; error_page 404 = \@named; try_files /none =404; }
    location \@named { auth_oidc_require groups admins; rewrite ^ /admin/file break; }
    location = /index/ { auth_oidc off; index /admin/file; }
    location /refused { auth_oidc_require groups admins; error_page 403 /public/sorry; }
    location /asks { auth_oidc off; auth_request /admin/file; }
    location /mirrored { auth_oidc off; mirror /admin/file; }
    location /if { auth_oidc off; if (\$arg_x) { rewrite ^ /admin/file last; } }
    location /allowed { auth_oidc_anonymous allow; rewrite ^ /admin/file last; }
}
END
my $secret = 'what is guarded';
mkdir join '/', $ngx->dir, $_ for qw(files files/admin files/prefix files/prefix/inner files/public files/asks files/mirrored files/if);
$ngx->write_file("files/$_", "$secret\n") for qw(admin/file admin/index.html exact x.guarded admin/x.guarded prefix/file prefix/a.txt prefix/inner/file public/x.guarded);
$ngx->write_file("files/$_", "open\n") for qw(index.html public/file public/sorry asks/file mirrored/file if/file);
$ngx->start;

my $base = 'http://localhost:' . $ngx->port('site');
sub visitor {
    my ($groups) = @_;
    my $who = OIDC::Browser->new(base => $base);
    $op->with(claims => { groups => $groups }, sub { $who->login('/') });
    return 'NGX_OIDC_SESSION=' . $who->cookies->find('NGX_OIDC_SESSION')->{value};
}
my %cookie = (stranger => 'a=b', guest => visitor(['guests']), admin => visitor(['admins']));
# Every byte of the answer, whatever a client would make of it. Who waits for a body is told that there is none.
sub bytes {
    my ($who, $line, @headers) = @_;
    my $socket = IO::Socket::INET->new(PeerAddr => '127.0.0.1', PeerPort => $ngx->port('site'), Proto => 'tcp', Timeout => OIDC::Nginx::patience()) or die "connect: $!\n";
    my $end = $line =~ m{ HTTP/} ? join("\r\n", '', 'Host: localhost', 'Connection: close', "Cookie: $cookie{$who}", @headers, '', '') : "\r\n";
    print $socket "$line$end";
    shutdown $socket, 1 if "@headers" =~ /Length|chunked|Expect/;
    local $/;
    return scalar(<$socket>) // '';
}
sub past { return bytes(@_) =~ /$secret/ ? 1 : 0 }

# The guard is there, and opens for the right one.
for my $path (qw(/admin/file /admin/ /exact /x.guarded /admin/x.guarded /prefix/file /prefix/a.txt /prefix/inner/file)) {
    is_deeply [map { past($_, "GET $path HTTP/1.1") } qw(stranger guest admin)], [0, 0, 1], "$path: only for admins";
}
is past(stranger => 'GET /public/x.guarded HTTP/1.1'), 0, 'a regular expression comes before an open prefix';

# ---- one path in many spellings ----

my @paths = (
    qw(//admin/file /admin//file ///admin///file /./admin/file /admin/./file /admin/../admin/file /public/../admin/file /public/./../admin/file /x/y/../../admin/file
        /%61dmin/file /%61%64%6d%69%6e/file /admin%2ffile /admin%2Ffile %2fadmin/file /%2fadmin/file /%2e/admin/file /admin/%2e/file /public/%2e%2e/admin/file /public/%2e%2e%2fadmin/file
        /public/..%2fadmin/file /public/.%2e/admin/file /public//../admin/file /public/../../admin/file /../admin/file /admin/file/ /admin/file/. /admin/file/.. /admin/file%20 /admin/file%00
        /admin/file%00.html /admin/file?x /admin/file?/public/ /admin/file;/public/ /admin/file%3f/public/ /admin/file%23 /ADMIN/file /Admin/file
        /admin/FILE /admin\\file /admin%5cfile /public/..\\admin/file /public/..%5cadmin/file /public/..;/admin/file /public/%252e%252e/admin/file /%2561dmin/file /admin/file%0a
        /admin/file%0d%0a /admin%c0%affile /admin/./../admin/file /exact/ /exact/. /./exact //exact /%65xact /exact?x /exact%00 /EXACT /exact/../exact /x.guarded/ /x.guarded%00 /x.GUARDED
        /x%2eguarded /./x.guarded //x.guarded /x.guarded?.html /public/..//x.guarded /public/%2e%2e/x.guarded /prefix//file /prefix/x/../file /prefix/%2e/file /prefix/a%2etxt /prefix/./a.txt
        /prefix/inner//file /prefix/inner/../inner/file /public/../prefix/file),
    '/admin/file#/public/', '/public/#/../admin/file', 'http://localhost/admin/file', 'http://other.example/admin/file', 'http://localhost//admin/file', '/admin/file HTTP/1.1 ', '/admin/file /public/',
);
my $found = 0;
for my $path (@paths) {
    my @past = map { past($_, "GET $path HTTP/1.1") } qw(stranger guest admin);
    $found += pop @past;
    is_deeply \@past, [0, 0], "GET $path";
}
cmp_ok $found, '>', 30, "$found of these spellings are the file for an admin";
cmp_ok scalar @paths, '>', 80, scalar(@paths) . ' spellings';

# ---- methods, versions, headers ----

is_deeply [past(stranger => "$_ /admin/file HTTP/1.1"), past(guest => "$_ /admin/file HTTP/1.1")], [0, 0], "method $_" for qw(HEAD POST PUT DELETE OPTIONS PATCH TRACE PROPFIND CONNECT GETX get Get -);
is_deeply [past(stranger => $_), past(guest => $_)], [0, 0], $_ for 'GET /admin/file HTTP/1.0', 'GET /admin/file', 'GET  /admin/file HTTP/1.1', "GET\t/admin/file HTTP/1.1", 'GET /admin/file HTTP/2.0', 'GET /admin/file HTTP/1.9';
my @headers = (
    'X-Original-URL: /public/file', 'X-Rewrite-URL: /public/file', 'X-Forwarded-Uri: /public/file', 'X-Forwarded-Prefix: /public', 'X-Forwarded-For: 127.0.0.1', 'X-Real-IP: 127.0.0.1', 'X-Forwarded-Host: localhost',
    'X-HTTP-Method-Override: OPTIONS', 'X-Method-Override: HEAD', 'Upgrade: websocket', "Upgrade: websocket\r\nConnection: Upgrade", 'Upgrade: h2c', 'X-Requested-With: XMLHttpRequest', 'Sec-Fetch-Mode: cors', 'Sec-Fetch-Dest: image',
    'Sec-Purpose: prefetch', 'Purpose: prefetch', 'User-Agent: kube-probe/1.0', 'User-Agent: GoogleHC/1.0', 'User-Agent: ', 'Range: bytes=0-10', 'If-Modified-Since: Thu, 01 Jan 1970 00:00:00 GMT', 'If-None-Match: *', 'Accept: application/grpc',
    'Content-Type: application/grpc', 'Origin: null', 'Access-Control-Request-Method: GET', 'Authorization: Basic YTpi', 'Authorization: Bearer x', 'X-User: admin', 'X-Groups: admins', 'Host: localhost', 'Cookie: NGX_OIDC_SESSION=x', 'Forwarded: for=127.0.0.1',
    'X-Accel-Redirect: /admin/file', 'Expect: 100-continue', 'Transfer-Encoding: chunked', 'Content-Length: 0', "Content-Length: 30\r\n\r\nGET /admin/file HTTP/1.1",
);
is_deeply [past(stranger => 'GET /admin/file HTTP/1.1', $_), past(guest => 'GET /admin/file HTTP/1.1', $_)], [0, 0], $_ =~ s/\r\n/ | /gr for @headers;
is past(guest => 'GET /admin/file HTTP/1.1', "Cookie: $cookie{guest}"), 0, 'the same cookie twice';
for my $who (qw(stranger guest)) {
    unlike curl('--http2-prior-knowledge', '-H', "Cookie: $cookie{$who}", 'http://localhost:' . $ngx->port('h2') . $_)->body, qr/$secret/, "HTTP/2, $who: $_" for qw(/admin/file //admin/file /%61dmin/file /public/%2e%2e/admin/file);
}

# ---- internal redirects and subrequests: the new location decides ----

for my $path (qw(/rewritten /tried /error /error_code /named /index/ /if?x=1 /allowed /back/admin/file /back//admin/file /back/%61dmin/file /back/x.guarded /back/exact /back/prefix/inner/file)) {
    is_deeply [map { past($_, "GET $path HTTP/1.1") } qw(stranger guest)], [0, 0], "$path: an internal redirect into what is guarded";
}
is past(admin => "GET $_ HTTP/1.1"), 1, "$_: and opens for the right one" for qw(/rewritten /tried /error_code /named /back/admin/file /if?x=1 /allowed);
like bytes(guest => 'GET /refused HTTP/1.1'), qr{^HTTP/1.1 403 .*open\n\z}s, 'error_page shows another page, and not what was refused';
is past(stranger => "GET $_ HTTP/1.1"), 0, "$_: what a subrequest gets stays inside" for qw(/asks/file /mirrored/file);

done_testing;
