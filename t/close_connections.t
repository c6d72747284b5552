# auth_oidc_close_connections: what is open in the name of a session that has ended is closed, in every worker, and nothing else is.

use strict;
use warnings;

use FindBin;
use lib "$FindBin::Bin/lib";

use IO::Select;
use OIDC::Echo;
use OIDC::Http2;
use OIDC::Redis;
use OIDC::Test;

is conf_error('auth_oidc_close_connections maybe;'), 'invalid value "maybe" in "auth_oidc_close_connections" directive, it must be "on" or "off" in http.conf:1',
    'on or off';

# Each of these is open for as long as both sides like it.
my $places = <<'END';
        auth_oidc_close_connections on;
        proxy_http_version 1.1;
        proxy_buffering off;
        proxy_read_timeout 1h;
        proxy_set_header Upgrade $http_upgrade;
        proxy_set_header Connection upgrade;
        add_header X-Worker $pid always;
        location /socket { auth_oidc my_idp; proxy_pass http://127.0.0.1:%%PORT_echo%%; }
        location /kept { auth_oidc my_idp; auth_oidc_close_connections off; proxy_pass http://127.0.0.1:%%PORT_echo%%; }
        location /events { auth_oidc my_idp; proxy_set_header Connection ""; proxy_set_header Upgrade ""; proxy_pass http://127.0.0.1:%%PORT_echo%%; }
        location /redirected { auth_oidc my_idp; root %%DIR%%; try_files /absent /inside; }
        location /accel { auth_oidc my_idp; proxy_set_header Connection ""; proxy_set_header Upgrade ""; proxy_pass http://127.0.0.1:%%PORT_echo%%; }
        location /inside { internal; auth_oidc off; alias %%DIR%%/large; limit_rate 2k; }
        location /large { auth_oidc my_idp; root %%DIR%%; limit_rate 2k; }
        location /open_events { proxy_set_header Connection ""; proxy_pass http://127.0.0.1:%%PORT_echo%%/events; }
END

my $op = OIDC::Provider->new(tls => 0);
sub start_site {
    my (%option) = @_;
    my $ngx = OIDC::Nginx->new(workers => 2);
    my $conf = OIDC::Test::site_conf($op, server => $places . ($option{server} // ''), provider => "logout_uri /logout; backchannel_logout_uri /backchannel; $option{provider}");
    $conf =~ s/(listen 127\.0\.0\.1:%%PORT_site%%);/$1 reuseport;\n listen 127.0.0.1:%%PORT_h2%% http2;/;
    $ngx->configure(http => $conf);
    $ngx->write_file('large', 'x' x 400_000);
    my $echo = OIDC::Echo->start($ngx->port('echo'));
    $ngx->start;
    return ($ngx, $echo, OIDC::Test::browser($ngx, $op));
}

sub visitor {
    my ($browser, $sub, $sid) = @_;
    my $who = $browser->fresh;
    $op->with(claims => { sub => $sub, sid => $sid }, sub { $who->login('/app') });
    return $who;
}

# A WebSocket that says what it hears.
sub socket_of {
    my ($who, $path) = @_;
    my $exchange = $who->send('GET', $path // '/socket', kind => 'websocket', headers => { Connection => 'Upgrade', Upgrade => 'websocket' });
    my $head = $exchange->head;
    is $head->{status}, 101, 'a socket is open' if $head->{status} != 101;
    ($exchange->{worker}) = map { $_->[0] eq 'X-Worker' ? $_->[1] : () } @{ $head->{headers} };
    $exchange->take_until_quiet;
    return $exchange;
}

# Any other answer that goes on.
sub stream_of {
    my ($who, $path) = @_;
    my $exchange = $who->send('GET', $path);
    is $exchange->head->{status}, 200, "$path is open";
    return $exchange;
}

sub OIDC::Browser::Exchange::take_until_quiet {
    my ($self) = @_;
    $self->more while $self->{buffer} !~ /\r\n\r\n\z/;
    $self->{buffer} = '';
}

# Read to its end, which must come. Returns how much did.
sub read_to_end {
    my ($exchange) = @_;
    my $got = length $exchange->{buffer};
    my $deadline = time + OIDC::Nginx::patience();
    while (time <= $deadline) {
        next unless IO::Select->new($exchange->{in})->can_read(0.2);
        my $read = sysread $exchange->{in}, my $bytes, 65536;
        return $got unless $read;
        $got += $read;
    }
    return;
}

sub answers {
    my ($exchange) = @_;
    $exchange->write('ping');
    my $heard = eval { $exchange->take(4) } // '';
    return $heard eq 'ping';
}

sub back_channel {
    my ($browser, %claims) = @_;
    my $token = $op->logout_token(%claims);
    secret($token);
    return $browser->fresh->post('/backchannel', [['logout_token', $token]], kind => 'none')->status;
}

# ---- twenty sessions, two hundred sockets, one logout at the provider ----

{
    my ($ngx, $echo, $browser) = start_site(provider => '');
    my %sockets;
    for my $n (1 .. 20) {
        my $who = visitor($browser, "user$n", "sid-$n");
        $sockets{"sid-$n"} = [map { socket_of($who) } 1 .. 10];
    }
    my %workers = map { $_->{worker} => 1 } map { @$_ } values %sockets;
    is scalar(keys %workers), 2, 'the sockets are in both workers';
    my $before = Time::HiRes::time();
    is back_channel($browser, sid => 'sid-7'), 200, 'one user is signed out by the provider';
    my @of_seven = @{ delete $sockets{'sid-7'} };
    is scalar(grep { defined read_to_end($_) } @of_seven), 10, 'the ten sockets of that session are closed';
    note sprintf 'after %.2f s', Time::HiRes::time() - $before;
    my @others = map { @$_ } values %sockets;
    is scalar(grep { answers($_) } @others), 190, 'the 190 others go on';
    like $ngx->error_log, qr/\[info\].*auth_oidc: closed, for its session is over, provider "my_idp"/, 'the log says so';
    is scalar(() = $ngx->error_log =~ /closed, for its session is over/g), 10, 'ten times';

    is back_channel($browser, sid => undef, sub => 'user3'), 200, 'by sub';
    is scalar(grep { defined read_to_end($_) } @{ $sockets{'sid-3'} }), 10, 'all of that user are closed';

    # Old workers leave when what they hold open ends: a session that ends there is seen too.
    my @old = $ngx->worker_pids;
    ok $ngx->reload(keep_old => 1), 'a reload';
    ok answers($sockets{'sid-1'}[0]), 'old workers keep their sockets';
    is back_channel($browser, sid => "sid-$_"), 200, "sid-$_ is signed out" for grep { $_ != 3 && $_ != 7 } 1 .. 20;
    my %is_old = map { $_ => 1 } @old;
    ok OIDC::Nginx::wait_until(sub { !grep { $is_old{$_} } $ngx->worker_pids(all => 1) }), 'then their sockets are closed, and they leave';
    $ngx->stop;
}

# ---- what else stays open, and what else ends a session ----

{
    my ($ngx, $echo, $browser) = start_site(provider => '', server => 'location = /plain { auth_oidc my_idp; auth_oidc_close_connections off; root %%DIR%%; }');
    my $alice = visitor($browser, 'alice', 'a');
    my $bob = visitor($browser, 'bob', 'b');
    my @hers = map { stream_of($alice, $_) } qw(/events /large /redirected /accel/inside);
    my @his = map { stream_of($bob, $_) } qw(/events /large);
    my $kept = socket_of($alice, '/kept');
    my $slow = $alice->send('GET', '/large', keepalive => 1);
    is $slow->head->{status}, 200, 'a download on a connection that would be kept';
    is $alice->get('/logout', site => 'same-origin')->status, 302, 'she signs out';
    for my $stream (@hers, $slow) {
        my $got = read_to_end($stream);
        ok defined $got && $got < 400_000, "$stream->{url}{path} is cut off";
    }
    ok answers($kept), 'auth_oidc_close_connections off: left alone';
    is scalar(grep { IO::Select->new($_->{in})->can_read(0) && sysread($_->{in}, my $bytes, 65536) == 0 } @his), 0, 'and so is everybody else';

    # HTTP/2: one stream ends, the connection and its other streams do not.
    my $carol = visitor($browser, 'carol', 'c');
    my $cookie = sub { my ($who) = @_; return join '; ', map { "$_->{name}=$_->{value}" } $who->cookies->find('NGX_OIDC_SESSION') };
    my $connection = OIDC::Http2->connect($ngx->port('h2'));
    my %id = (hers => $connection->get('/events', cookie => $cookie->($carol)), his => $connection->get('/events', cookie => $cookie->($bob)),
        open => $connection->get('/open_events'), large => $connection->get('/large', cookie => $cookie->($carol)));
    my %stream = map { $_ => $connection->stream($id{$_}) } keys %id;
    ok $connection->wait_for(sub { 4 == grep { length $_->{data} } values %stream }), 'HTTP/2: four streams are open';
    is back_channel($browser, sid => 'c'), 200, 'HTTP/2: one session ends';
    ok $connection->wait_for(sub { $stream{hers}{reset} && $stream{large}{reset} }), 'HTTP/2: its streams are reset';
    ok !$stream{his}{reset} && !$stream{open}{reset} && !$connection->{goaway}, 'HTTP/2: the others are not, nor is the connection';
    my $later = $connection->get('/events', cookie => $cookie->($bob));
    ok $connection->wait_for(sub { length $connection->stream($later)->{data} }), 'HTTP/2: which takes another request';
    ok !$connection->wait_for(sub { 1 } ) || !$stream{his}{ended}, 'HTTP/2: and his stream goes on';

    # Another login of the same browser replaces the session.
    my $dora = visitor($browser, 'dora', 'd');
    my $socket = socket_of($dora);
    $op->with(claims => { sub => 'dora', sid => 'd2' }, sub { $dora->login('/oidc_login?provider=my_idp&return_to=/app') });
    ok defined read_to_end($socket), 'a session that another login replaced is over';
    ok has_session($dora, '/app'), 'and the new one is there';
    close $connection->{socket};
    $_->close for @his, $kept;
    $ngx->stop;
}

# ---- the session's own life ----

my $life = $ENV{OIDC_VALGRIND} ? 60 : 5;

{
    my ($ngx, $echo, $browser) = start_site(provider => "session_timeout ${life}s;");
    my $who = visitor($browser, 'alice', 'a');
    my $socket = socket_of($who);
    ok answers($socket), 'a short session';
    ok defined read_to_end($socket), 'session_timeout: its socket is closed at its end';
    isnt $who->get('/app')->status, 200, 'session_timeout: which it was';
    $ngx->stop;
}
{
    my ($ngx, $echo, $browser) = start_site(provider => "session_idle_timeout ${life}s;");
    my $who = visitor($browser, 'alice', 'a');
    my $socket = socket_of($who);
    my $begun = Time::HiRes::time();
    # The passing of time is what is tested here.
    while (Time::HiRes::time() < $begun + $life + 1) {
        Time::HiRes::sleep(0.5);
        $who->get('/app');
    }
    ok answers($socket), 'session_idle_timeout: requests elsewhere keep the session, and the socket with it';
    ok defined read_to_end($socket), 'session_idle_timeout: without any it is closed';
    $ngx->stop;
}

# ---- sessions in cookies ----

{
    my ($ngx, $echo, $browser) = start_site(provider => 'session_store cookie; cookie_secret "a cookie secret of more than thirty-two bytes";');
    my ($alice, $bob) = map { visitor($browser, $_, "sid-$_") } qw(alice bob);
    my ($hers, $his) = map { socket_of($_) } $alice, $bob;
    is back_channel($browser, sid => 'sid-alice'), 200, 'cookie: signed out by the provider';
    ok defined read_to_end($hers), 'cookie: closed';
    ok answers($his), 'cookie: others are not';
    $bob->get('/logout', site => 'same-origin');
    ok defined read_to_end($his), 'cookie: a sign-out closes too';
    $ngx->stop;
}

# ---- Redis: a session that ends on another host ----

{
    my $redis = OIDC::Redis->new(certificates => $op->dir, user => 'app', password => 'pass');
    my ($ngx, $echo, $browser) = start_site(provider => 'session_store redis://app:pass@127.0.0.1:' . $redis->port . '; cookie_secret "a cookie secret of more than thirty-two bytes";');
    my ($alice, $bob, $carol) = map { visitor($browser, $_, "sid-$_") } qw(alice bob carol);
    my ($hers, $his, $third) = map { socket_of($_) } $alice, $bob, $carol;
    is back_channel($browser, sid => 'sid-alice'), 200, 'Redis: signed out by the provider';
    ok defined read_to_end($hers), 'Redis: closed';
    ok answers($his) && answers($third), 'Redis: others are not';
    # As another host does it, of whose doing nobody tells us.
    my ($key) = grep { $redis->command('GET', $_) } $redis->keys('oidc:s:*');
    $redis->command('DEL', $key);
    ok OIDC::Nginx::wait_until(sub { IO::Select->new($his->{in}, $third->{in})->can_read(0) }), 'Redis: what another host deleted is noticed';
    my ($ended) = IO::Select->new($his->{in}, $third->{in})->can_read(0);
    my ($over, $lives) = $ended == $his->{in} ? ($his, $third) : ($third, $his);
    ok defined read_to_end($over), 'Redis: and closed';
    ok answers($lives), 'Redis: the other one lives';
    $_->close for $lives;
    $ngx->stop;
}

done_testing;
