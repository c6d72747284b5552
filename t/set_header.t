# auth_oidc_set_header: no spelling of a client's reaches the upstream, in any location of the server.

use strict;
use warnings;

use FindBin;
use lib "$FindBin::Bin/lib";

use IO::Socket::IP;
use OIDC::Test;

my ($ngx, $op, $browser) = site(
    http => 'underscores_in_headers on; ignore_invalid_headers off;',
    server => <<'END');
        location /with { auth_oidc my_idp; auth_oidc_set_header X-Auth-User $oidc_claim_sub; auth_oidc_set_header X-Empty $oidc_claim_nothing; proxy_pass http://127.0.0.1:%%PORT_raw%%; }
        location /maybe { auth_oidc my_idp; auth_oidc_anonymous allow; auth_oidc_set_header X-Auth-User $oidc_claim_sub; proxy_pass http://127.0.0.1:%%PORT_raw%%; }
        location /free { auth_oidc off; proxy_pass http://127.0.0.1:%%PORT_raw%%; }
        location /moved { auth_oidc my_idp; rewrite ^ /with/moved last; }
        location /lines { auth_oidc my_idp; set $lines "a\r\nX-Evil: 1\n\tb"; auth_oidc_set_header X-Lines $lines; proxy_pass http://127.0.0.1:%%PORT_raw%%; }
        location /known { auth_oidc my_idp; auth_oidc_set_header X-Forwarded-For ""; auth_oidc_set_header User-Agent $oidc_claim_nothing; auth_oidc_set_header X-Auth-User $oidc_claim_sub;
            proxy_set_header X-Chain "[$proxy_add_x_forwarded_for]"; proxy_set_header X-Agent "[$http_user_agent]"; proxy_pass http://127.0.0.1:%%PORT_raw%%; }
        location /pages/ { auth_oidc my_idp; auth_oidc_set_header X-Auth-User $oidc_claim_sub; ssi on; ssi_types *; root %%DIR%%; }
        location /part_with { auth_oidc my_idp; auth_oidc_set_header X-Auth-User "part $oidc_claim_sub"; proxy_pass http://127.0.0.1:%%PORT_raw%%; }
        location /any { satisfy any; allow all; auth_oidc my_idp; auth_oidc_set_header X-Auth-User $oidc_claim_sub; proxy_pass http://127.0.0.1:%%PORT_raw%%; }
END

# An upstream that shows the bytes it was sent.
my $raw = IO::Socket::IP->new(Listen => 50, LocalAddr => '127.0.0.1', LocalPort => $ngx->port('raw'), ReuseAddr => 1) or die "listen: $!";
my $echo = fork // die "fork: $!";
if (!$echo) {
    $SIG{TERM} = 'DEFAULT';
    while (my $client = $raw->accept) {
        my $head = '';
        while ($head !~ /\r\n\r\n/ && sysread $client, my $part, 65536) { $head .= $part }
        print $client 'HTTP/1.0 200 OK', "\r\n", 'Content-Length: ', length $head, "\r\n\r\n", $head;
        close $client;
    }
    exit 0;
}
close $raw;

my @spellings = do {
    my %seen;
    my @names;
    for my $first ('-', '_', '.') {
        for my $second ('-', '_', '.') {
            push @names, map { "X${first}Auth${second}User" =~ s/^(.*)$/$_->($1)/er } sub { $_[0] }, sub { lc $_[0] }, sub { uc $_[0] },
                sub { $_[0] =~ s/A/a/r }, sub { $_[0] =~ s/U/u/r }, sub { $_[0] =~ s/X/x/r };
        }
    }
    grep { !$seen{$_}++ } @names;
};
cmp_ok scalar @spellings, '>=', 50, 'spellings';

$browser->login('/app');
for my $place (qw(/with /maybe /free /moved /any)) {
    my $reached = 0;
    my $sent = 0;
    for my $name (@spellings) {
        for my $lines (["$name: evil"], ["$name: evil", "$name: evil2"], ['X-Auth-User: evil', "$name: evil2"]) {
            my $answer = $browser->get($place, headers => { map { my ($key, $value) = split /: /, $_, 2; ($key => $value) } @$lines });
            $sent++;
            $reached++ if $answer->body =~ /evil/;
        }
    }
    is $reached, 0, "$place: none of $sent reaches the upstream";
}
like $browser->get('/with')->body, qr/^X-Auth-User: [^\r\n]+\r$/m, 'our own does';
is scalar(() = $browser->get('/moved')->body =~ /^X-Auth-User:/mg), 1, 'once, also after an internal redirect';
unlike $browser->get('/with', headers => { 'X-Empty' => 'evil' })->body, qr/X-Empty|evil/, 'an empty value removes it too';
unlike $browser->fresh->get('/maybe', headers => { 'X_Auth_User' => 'evil' })->body, qr/auth.user/i, 'and a stranger has none';
unlike $browser->get('/with')->body, qr/NGX_OIDC/, 'nor does our cookie reach it';

# ---- variables that read a header by another way than the list ----

{
    my $known = $browser->get('/known', headers => { 'X-Forwarded-For' => '6.6.6.6', 'User-Agent' => 'evil' })->body;
    unlike $known, qr/6\.6\.6\.6|evil/, 'no variable of nginx has the value of the client either';
    like $known, qr/^X-Chain: \[127\.0\.0\.1\]\r$/m, '$proxy_add_x_forwarded_for begins anew';
    like $known, qr/^X-Agent: \[\]\r$/m, '$http_user_agent is empty';
}

# ---- parts of a page are requests of their own ----

mkdir $ngx->dir . '/pages';
chmod 0755, $ngx->dir . '/pages';
$ngx->write_file('pages/page', qq(<!--#include virtual="/free/part" -->\n<!--#include virtual="/part_with/part" -->\n));
{
    my $page = $browser->get('/pages/page', headers => { 'X_Auth_User' => 'evil' })->body;
    my ($free) = $page =~ m{(GET /free/part .*?\r\n\r\n)}s;
    my ($with) = $page =~ m{(GET /part_with/part .*?\r\n\r\n)}s;
    unlike $free // 'missing', qr/auth.user|missing/i, 'a part whose location sets none gets none, neither the client\'s nor that of the page';
    is_deeply [($with // '') =~ /^(X.Auth.User: .*?)\r$/mgi], ['X-Auth-User: part alice'], 'and one that sets it has it once, as it says';
}

# ---- values with line ends ----

{
    my $lines = $browser->get('/lines')->body;
    unlike $lines, qr/^X-Evil/m, 'a value cannot end its line';
    like $lines, qr/^X-Lines: a[^\r\n]*b\r$/m, 'and is still there';
}

like conf_error("server { auth_oidc_set_header $$_[0]; }"), $$_[1], "auth_oidc_set_header $$_[0]" for
    ['Host x', qr/"Host" in "auth_oidc_set_header" steers the request itself, write another name/], ['content_length 5', qr/steers the request itself/],
    ['Connection x', qr/steers the request itself/], ['"X Y" x', qr/invalid name "X Y" in "auth_oidc_set_header"/],
    ['X-A 1; auth_oidc_set_header x_a 2', qr/duplicate header "x_a" in "auth_oidc_set_header"/];

kill TERM => $echo;
waitpid $echo, 0;
done_testing;
