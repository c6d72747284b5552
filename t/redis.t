# session_store redis:// against Debian's redis-server: what is kept there, who can read it, and what happens when it goes away.

use strict;
use warnings;

use FindBin;
use lib "$FindBin::Bin/lib";

use IO::Socket::INET;
use OIDC::Redis;
use OIDC::Test;
use POSIX ();

my $secret = 'a cookie secret of more than thirty-two bytes';
my $session = 'NGX_OIDC_SESSION';
my $op = OIDC::Provider->new(tls => 0);
my $limit = $ENV{OIDC_VALGRIND} ? '20s' : '500ms';
my $redis = OIDC::Redis->new(certificates => $op->dir, user => 'app', password => 'p@ss:w/rd');
my $account = 'app:p%40ss%3Aw%2Frd';
sub conf { my ($url, $more) = @_; return "cookie_secret \"$secret\"; session_store " . quoted($url) . "; store_timeout $limit; logout_uri /logout; " . ($more // '') }
sub start {
    my ($url, %option) = @_;
    return site(op => $op, provider => conf($url, $option{provider}), server => 'location = /public { return 200 "open\n"; } location = /status { auth_oidc off; auth_oidc_status; }', nginx => { %{ $option{nginx} || {} } });
}

# ---- each way in ----

for my $case (['TCP with an account', "redis://$account\@127.0.0.1:" . $redis->port], ['TLS', "rediss://$account\@localhost:" . $redis->tls_port . '?ca=' . $op->ca],
    ['TLS to an address', "rediss://$account\@127.0.0.1:" . $redis->tls_port . '?ca=' . $op->ca],
    ['a socket', 'unix:' . $redis->socket . '?user=app&password=p%40ss%3Aw%2Frd']) {
    my ($name, $url) = @$case;
    $redis->command('FLUSHALL');
    my ($ngx, undef, $who) = start($url);
    is $who->login('/app')->status, 200, "$name: signed in";
    like $who->get('/app')->body, qr/^sub=zoe|^sub=\w+/m, "$name: a claim reaches the application";
    my @keys = $redis->keys('oidc:s:*');
    is scalar(@keys), 1, "$name: one session";
    my $status = $who->get('/status', kind => 'none')->json;
    cmp_ok $status->{store_calls}, '>', 0, "$name: look-ups are counted";
    is $status->{providers}[0]{store}, 'redis', "$name: and shown as those of Redis";
    my $cookie = $who->cookies->find($session)->{value};
    unlike "@keys", qr/\Q$cookie\E/, "$name: the key does not tell the cookie";
    cmp_ok $redis->command('PTTL', $keys[0]), '>', 8 * 3600_000 - 60_000, "$name: Redis ends it";
    my $value = $redis->command('GET', $keys[0]);
    unlike $value, qr/example|sub|email/, "$name: nothing to read there";
    $who->get('/logout', site => 'same-origin');
    is scalar(my @left = $redis->keys('oidc:s:*')), 0, "$name: signed out there";
    $who->cookies->put($session, $cookie);
    isnt $who->get('/app')->status, 200, "$name: and here";
    $ngx->stop;
}

# ---- bad certificates and accounts ----

for my $case (['a certificate of nobody we trust', "rediss://$account\@localhost:" . $redis->tls_port, qr/certificate is refused/],
    ['a wrong password', 'redis://app:wrong@127.0.0.1:' . $redis->port, qr/AUTH or SELECT was refused: WRONGPASS/],
    ['a database that is not there', "redis://$account\@127.0.0.1:" . $redis->port . '/99', qr/AUTH or SELECT was refused/]) {
    my ($name, $url, $line) = @$case;
    my ($ngx, undef, $who) = start($url);
    $who->cookies->put($session, 'A' x 43);
    is $who->get('/app')->status, 503, "$name: 503";
    is $who->get('/status', kind => 'none')->json->{store_failures}, 1, "$name: and counted";
    like $ngx->error_log, $line, "$name: the log says so";
    unlike $ngx->error_log, qr/p\@ss|wrong\@/, "$name: without a password";
    $ngx->stop;
}

# ---- who can write there ----

$redis->command('FLUSHALL');
my ($ngx, undef, $who) = start("redis://$account\@127.0.0.1:" . $redis->port);
is $who->login('/app')->status, 200, 'signed in';
my ($key) = $redis->keys('oidc:s:*');
my $value = $redis->command('GET', $key);
my $in = 0;
for my $at (0 .. length($value) - 1) {
    my $bad = $value;
    substr($bad, $at, 1) ^= "\1";
    $redis->command('SET', $key, $bad);
    $in++ if $who->get('/app', kind => 'none')->status == 200;
}
for my $size (map { $_ * 7 } 0 .. length($value) / 7 - 1) {
    $redis->command('SET', $key, substr $value, 0, $size);
    $in++ if $who->get('/app', kind => 'none')->status == 200;
}
is $in, 0, 'no byte of a value may change, none may be missing';
$redis->command('SET', $key, $value);
is $who->get('/app')->status, 200, 'the value as it was';
my $other = $who->fresh;
$other->login('/app');
my ($theirs) = grep { $_ ne $key } $redis->keys('oidc:s:*');
$redis->command('SET', $theirs, $value);
isnt $other->get('/app', kind => 'none')->status, 200, 'a value under the key of somebody else';
$redis->command('DEL', $key);
$redis->command('RPUSH', $key, 'x');
is $who->get('/app')->status, 503, 'a value of a wrong type: 503';
is $who->get('/app')->header('Retry-After'), 1, 'with Retry-After';
{
    my $answer = $who->login('/oidc_login', until => 'callback');
    is $answer->status, 503, 'and a login over it, whose former session cannot be ended: 503';
    is_deeply [grep { $_->{name} eq $session } $answer->set_cookies], [], 'without a session';
    like $ngx->error_log, qr/fault us, rule session_store: the former session could not be ended/, 'with a line that says so';
    $who->cookies->remove('NGX_OIDC_LOOP');
}
$redis->command('DEL', $key);
isnt $who->get('/app')->status, 200, 'deleted: signed out';

# ---- away and back ----

$who->login('/app');
$redis->signal('STOP');
is $who->get('/app')->status, 503, 'it hangs: 503';
is $who->get('/public')->status, 200, 'what needs no session is served';
$redis->signal('CONT');
ok OIDC::Nginx::wait_until(sub { $who->get('/app')->status == 200 }), 'goes on: the session is back by itself';
$redis->stop;
is $who->get('/app')->status, 503, 'killed: 503';
is $who->get('/logout', site => 'same-origin')->status, 503, 'nobody is told to be signed out';
is $who->get('/oidc_callback?code=c&state=used')->status, 503, 'a callback whose session cannot be seen is told so, not blamed';
is $who->get('/public')->status, 200, 'what needs no session is served';
$redis->start;
ok OIDC::Nginx::wait_until(sub { $who->get('/app', kind => 'none')->status == 401 }), 'empty after a restart: sign in';
is $who->login('/app')->status, 200, 'a login works again';
$redis->command('CLIENT', 'KILL', 'TYPE', 'normal');
is $who->get('/app')->status, 200, 'a connection that was closed is made anew';

# ---- reads go on and writes do not: nobody is told what is not so ----

$redis->command('ACL', 'SETUSER', 'app', '-eval');
is $who->get('/logout', site => 'same-origin')->status, 503, 'a session that cannot be ended: 503';
ok has_session($who, '/app'), 'and the user is not told to be signed out';
{
    my $new = $who->fresh;
    my $answer = $new->login('/app', until => 'callback');
    is $answer->status, 503, 'a session that cannot be stored: 503';
    is_deeply [grep { $_->{name} eq $session } $answer->set_cookies], [], 'without a cookie';
    like $ngx->error_log, qr/\[crit\] .*fault us, rule session_store: the session could not be stored/, 'and it is our fault';
}
$redis->command('ACL', 'SETUSER', 'app', '+eval');
is $who->get('/logout', site => 'same-origin')->is_redirect, 1, 'when it can be ended again, it ends';
$who->login('/app');

# ---- two hosts, one Redis ----

my ($second, undef, $there) = start("redis://$account\@127.0.0.1:" . $redis->port);
my $cookie = $who->cookies->find($session)->{value};
$there->cookies->put($session, $cookie);
is $there->get('/app')->status, 200, 'the session is good at the other host';
$there->get('/logout', site => 'same-origin');
isnt $who->get('/app')->status, 200, 'signed out at one is signed out at both';

# ---- what needs more than one step ----

$ngx->stop;
$second->stop;
$redis->command('FLUSHALL');
($ngx, undef, $who) = start("redis://$account\@127.0.0.1:" . $redis->port, provider => 'backchannel_logout_uri /backchannel; session_idle_timeout 20s;', nginx => { workers => 2 });
my $visitor = sub { my ($sub, $sid) = @_; my $new = $who->fresh; $op->with(claims => { sub => $sub, sid => $sid }, sub { $new->login('/app') }); return $new };
my $inside = sub { return join ' ', map { $_->get('/app', kind => 'none')->status } @_ };
my @all = ($visitor->('alice', 's1'), $visitor->('alice', 's2'), $visitor->('bob', 's3'));
my $logout = sub {
    my $token = $op->logout_token(@_);
    secret($token);
    return $who->fresh->request('POST', '/backchannel', kind => 'none', body => form_encode([['logout_token', $token]]), headers => { 'Content-Type' => 'application/x-www-form-urlencoded' })->status;
};
is $inside->(@all), '200 200 200', 'three sessions';
is $logout->(sid => 's1', sub => undef), 200, 'back channel: one sid';
is $inside->(@all), '401 200 200', 'is over';
is $logout->(sub => 'alice', sid => undef), 200, 'back channel: all of a user';
is $inside->(@all), '401 401 200', 'are over';
unlike join(' ', map { $_, map { ref ? @$_ : $_ // '' } $redis->command('TYPE', $_) eq 'set' ? $redis->command('SMEMBERS', $_) : () } $redis->keys), qr/alice|bob|s[123]\b/, 'no sid and no sub in clear';

my ($mine) = $redis->keys('oidc:s:*');
my $before = $redis->command('GET', $mine);
my $later = OIDC::Nginx::wait_until(sub { $all[2]->get('/app', kind => 'none'); $redis->command('GET', $mine) ne $before });
ok $later, 'a use after a tenth of the idle time is written back';
is $inside->($all[2]), '200', 'and the session goes on';

my $planted = $visitor->('mallory', 's4');
my @cookies = map { "$session=" . $_->cookies->find($session)->{value} } $planted, $all[2];
is $who->fresh->get('/app', kind => 'none', headers => { Cookie => join '; ', @cookies })->status, 401, 'sessions of two users under one name: neither counts';
is $who->fresh->get('/app', kind => 'none', headers => { Cookie => join '; ', @cookies[1, 1] })->status, 200, 'twice the same one';

my $short = $who->fresh;
$op->with(claims => { sub => 'dave', sid => 's6' }, sub {
    my %there = map { $_ => 1 } $redis->keys('oidc:s:*');
    $op->configure(expires_in => 1);
    $short->login('/app', until => 'callback');
    $op->configure(expires_in => 3600);
    my ($name) = grep { !$there{$_} } $redis->keys('oidc:s:*');
    my $first = substr $redis->command('GET', $name), 0, 16;
    ok OIDC::Nginx::wait_until(sub { $short->get('/app', kind => 'none'); substr($redis->command('GET', $name) // $first, 0, 16) ne $first }), 'a refreshed session is stored in its next revision';
});
is $inside->($short), '200', 'and goes on';
is $logout->(sub => 'dave', sid => undef), 200, 'back channel: a session that was refreshed';
is $inside->($short), '401', 'is over';

my $again = $visitor->('carol', 's5');
my $old = $again->cookies->find($session)->{value};
$again->login('/oidc_login?return_to=/app');
isnt $again->cookies->find($session)->{value}, $old, 'a second login has another id';
my $back = $who->fresh;
$back->cookies->put($session, $old);
isnt $back->get('/app', kind => 'none')->status, 200, 'and ends the session that the browser brought';
$ngx->stop;

# ---- a server that lies ----

sub liar {
    my (@chunks) = @_;
    my $listen = IO::Socket::INET->new(LocalAddr => '127.0.0.1', Listen => 16) or die "no socket: $!";
    defined(my $pid = fork) or die "cannot fork: $!";
    return ($listen->sockport, $pid) if $pid;
    $SIG{PIPE} = 'IGNORE';
    $SIG{ALRM} = 'DEFAULT';
    alarm 60;
    while (my $client = $listen->accept) {
        $client->autoflush(1);
        sysread $client, my $asked, 65536 or next;
        if (ref $chunks[0]) { $chunks[0]->($client) }
        else { print $client @chunks }
        sysread $client, $asked, 1;
    }
    POSIX::_exit(0);
}
my $endless = sub { my ($first, $more) = @_; return sub { my ($client) = @_; my $left = 200; print $client $first; while ($left-- && print $client $more x 10_000) { } } };
for my $case (['an array', "*1\r\n\$1\r\nx\r\n", qr/an answer that is none/], ['an array of two thousand million', "*2000000000\r\n", qr/an answer that is none/],
    ['nested arrays', "*1\r\n" x 50, qr/an answer that is none/], ['a number', ":1\r\n", qr/no text/], ['a push', ">1\r\n+x\r\n", qr/an answer that is none/],
    ['an error with a line break', "-ERR a\nb\x1b[31m\r\n", qr/refused: ERR a\\x0Ab\\x1B\[31m/i], ['a length that is none', "\$-99999999999999999999\r\n", qr/an answer that is none/],
    ['a text of two thousand million bytes', $endless->("\$2000000000\r\n", 'x' x 10), qr/an answer larger/], ['an endless line', $endless->('+', 'x' x 10), qr/an answer larger/],
    ['a text that never ends', "\$100\r\nx", qr/no answer within \d+ ms/], ['nothing', '', qr/no answer within \d+ ms/], ['a sealed text that is none', "\$40\r\n" . 'x' x 40 . "\r\n", undef],
    ['two answers', "\$-1\r\n" x 2, undef], ['noise', "\0\xff" x 5000, qr/an answer that is none/]) {
    my ($name, $bytes, $line) = @$case;
    my ($port, $pid) = liar($bytes);
    my ($ngx, undef, $who) = start("redis://127.0.0.1:$port");
    $who->cookies->put($session, 'A' x 43);
    is $who->get('/app', kind => 'none')->status, $line ? 503 : 401, "a liar says $name";
    like $ngx->error_log, $line, "$name: in the log" if $line;
    is join("\n", grep { /\[(?:alert|emerg|crit)\]/ } grep { !/session look-up failed/ } split /\n/, $ngx->error_log), '', "$name: nothing worse";
    is $who->get('/public')->status, 200, "$name: nginx goes on";
    $ngx->stop;
    kill KILL => $pid;
    waitpid $pid, 0;
}

# ---- nginx -t ----

my $block = sub { return "oidc_provider p { issuer https://op.example; client_id c; client_secret s; cookie_secret \"$secret\"; session_store $_[0]; }" };
like conf_error($block->($_->[0])), $_->[1], "nginx -t: $_->[0]"
    for ['http://x', qr/begins with redis:/], ['redis://', qr/host or port/], ['redis://h:0', qr/host or port/], ['redis://h/x', qr/database/], ['redis://u@h', qr/user:password/],
    ['redis://127.0.0.1?x=1', qr/unknown parameter "x"/], ['redis://127.0.0.1?ca=x', qr/unknown parameter "ca"/], ['unix:x', qr/absolute path/], ['rediss://127.0.0.1?ca=/none', qr/none/],
    ['redis://none.invalid', qr/host not found/];
unlike conf_error($block->('redis://u:geheim@h:x')), qr/geheim/, 'nginx -t: no password in a message';
is conf_error($block->('redis://127.0.0.1/3?prefix=a:')), undef, 'nginx -t: a good one';
like join("\n", conf_warnings('oidc_provider p { issuer https://op.example; client_id c; client_secret s; session_store redis://127.0.0.1; }')), qr/write "cookie_secret"/, 'no cookie_secret: a warning';

done_testing;
