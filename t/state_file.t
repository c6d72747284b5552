# keyval_zone state=FILE: sessions outlive nginx, whichever way it ends, and a file that is not exactly what was written counts as none.

use strict;
use warnings;

use FindBin;
use lib "$FindBin::Bin/lib";

use OIDC::Test;

my $session = 'NGX_OIDC_SESSION';
my $secret = 'cookie_secret "a cookie secret of more than thirty-two bytes";';
my $op = OIDC::Provider->new(tls => 0);

sub host {
    my ($provider, %option) = @_;
    my ($ngx, undef, $browser) = site(op => $op, http => 'keyval_zone zone=kept:' . ($option{size} // '1m') . ' state=%%DIR%%/state ' . ($option{zone} // '') . ';',
        provider => "session_store kept; logout_uri /logout; $provider", nginx => { workers => $option{workers} // 2 });
    return ($ngx, $browser);
}
sub inside { return join ' ', map { $_->get('/app', kind => 'fetch')->status } @_ }
sub visitors { my ($browser, $count, %claims) = @_; return map { my $who = $browser->fresh; $op->with(claims => \%claims, sub { $who->login('/app') }); $who } 1 .. $count }
sub content { return OIDC::Nginx::slurp($_[0]->dir . '/state') }
# The file is another one than it was.
sub written { my ($ngx, $before) = @_; return OIDC::Nginx::wait_until(sub { length content($ngx) && content($ngx) ne $before }) }

# The same directory with a fresh master, as systemd would do it.
sub again {
    my ($ngx, $signal) = @_;
    my @workers = $ngx->worker_pids(all => 1);
    kill $signal, $ngx->master_pid, $signal eq 'KILL' ? @workers : ();
    OIDC::Nginx::wait_until(sub { $ngx->gone && !grep { kill 0, $_ } @workers }) or die "nginx did not end\n";
    unlink $ngx->dir . '/nginx.pid';
    return $ngx->start;
}

# ---- every end ----

for my $case (['with a cookie_secret', $secret], ['with a key of its own', '']) {
    my ($name, $provider) = @$case;
    my ($ngx, $browser) = host($provider);
    my $before = content($ngx);
    my ($alice, $bob, $out) = visitors($browser, 3);
    ok written($ngx, $before), "$name: the file is written while nginx runs";
    my $mode = sub { return sprintf '%o', (stat $ngx->dir . "/$_[0]")[2] & 07777 };
    is $mode->('state'), '600', "$name: mode 0600";
    is -e $ngx->dir . '/state.key' ? $mode->('state.key') : 'none', $provider ? 'none' : '600', "$name: the key";
    unlike content($ngx), qr/example|alice|groups|sub/, "$name: nothing to read there";
    again($ngx, 'QUIT');
    is inside($alice, $bob, $out), '200 200 200', "$name: QUIT and a start";
    $out->get('/logout', site => 'same-origin');
    again($ngx, 'TERM');
    is inside($alice, $bob), '200 200', "$name: TERM right after a change";
    my $thief = $browser->fresh;
    $thief->cookies->put($session, $_->{value}) for grep { defined } $out->cookies->find($session);
    is inside($thief), '401', "$name: who signed out is out";
    $before = content($ngx);
    my ($carol) = visitors($browser, 1);
    ok written($ngx, $before), "$name: written";
    again($ngx, 'KILL');
    is inside($alice, $bob, $carol), '200 200 200', "$name: kill -9 of all of it";
    $ngx->allow(qr/exited on signal 9|could not bind|still could not bind/);
    $before = content($ngx);
    $ngx->kill_worker;
    my ($dave) = visitors($browser, 1);
    ok written($ngx, $before), "$name: when the worker that writes dies another one does";
    $ngx->reload;
    $before = content($ngx);
    my ($erin) = visitors($browser, 1);
    ok written($ngx, $before), "$name: after a reload too";
    again($ngx, 'QUIT');
    is inside($alice, $bob, $carol, $dave, $erin), '200 200 200 200 200', "$name: all are there";
    is scalar(() = glob $ngx->dir . '/state.*tmp*'), 0, "$name: no half file is left";
    $ngx->stop;
}

# ---- a binary upgrade ----

# nginx upgrades itself only as a daemon: the same server as one. Returns its pid.
sub daemon {
    my ($ngx) = @_;
    kill QUIT => $ngx->master_pid;
    OIDC::Nginx::wait_until(sub { $ngx->gone }) or die "nginx did not end\n";
    my $dir = $ngx->dir;
    my $conf = OIDC::Nginx::slurp("$dir/nginx.conf") =~ s/^daemon off;/daemon on;/mr;
    my $path = $ngx->write_file('daemon.conf', $conf);
    local %ENV = OIDC::Nginx::clean_environment();
    system(OIDC::Nginx::nginx_binary(), '-p', $dir, '-c', $path, '-e', 'stderr') == 0 or die "nginx did not start\n";
    return pid_in("$dir/nginx.pid");
}
sub pid_in { my ($file) = @_; return OIDC::Nginx::wait_until(sub { OIDC::Nginx::slurp($file) =~ /^(\d+)$/ && $1 }) // die "no $file\n" }
sub ended { my (@pids) = @_; return OIDC::Nginx::wait_until(sub { !grep { kill 0, $_ } @pids }) }
sub workers_of { my ($master) = @_; return grep { OIDC::Nginx::slurp("/proc/$_/cmdline") =~ /worker process\s*\0*\s*$/ } split ' ', OIDC::Nginx::slurp("/proc/$master/task/$master/children") }

for my $workers (1, 2) {
    my ($ngx, $browser) = host($secret, workers => $workers);
    my $old = daemon($ngx);
    my @before = visitors($browser, 3);
    kill USR2 => $old;
    OIDC::Nginx::wait_until(sub { -s $ngx->dir . '/nginx.pid.oldbin' && -s $ngx->dir . '/nginx.pid' }) or die "no upgrade\n";
    my $new = pid_in($ngx->dir . '/nginx.pid');
    ok OIDC::Nginx::wait_until(sub { $workers <= workers_of($new) }), "$workers: the new generation serves";
    # Both answer now: each request comes to whichever takes the connection.
    my @meanwhile = visitors($browser, 8);
    ok OIDC::Nginx::wait_until(sub { inside((@before, @meanwhile) x 3) !~ /[^20 ]/ }), "$workers: what one generation knows the other learns";
    my $leaver = shift @before;
    my $thief = $browser->fresh;
    $thief->cookies->put($session, my $theirs = $leaver->cookies->find($session)->{value});
    $leaver->get('/logout', site => 'same-origin');
    ok OIDC::Nginx::wait_until(sub { inside(($thief) x 12) !~ /200/ }), "$workers: a sign-out too";
    my @last = visitors($browser, 4);
    my @workers = workers_of($old);
    kill QUIT => $old;
    ended($old, @workers) or die "the old generation stays\n";
    my @all = (@before, @meanwhile, @last);
    ok OIDC::Nginx::wait_until(sub { inside(@all) !~ /[^20 ]/ }), "$workers: all sessions are there when the old generation has gone";
    is inside($thief), '401', "$workers: and who signed out is out";
    @workers = workers_of($new);
    kill QUIT => $new;
    ended($new, @workers) or die "the new generation stays\n";
    unlink $ngx->dir . '/nginx.pid';
    $ngx->start;
    is inside(@all), join(' ', (200) x @all), "$workers: and after a restart";
    is inside($thief), '401', "$workers: and who signed out is out";
    $ngx->stop;
}

# ---- a damaged file ----

{
    my ($ngx, $browser) = host('');
    my ($who) = visitors($browser, 1);
    my $cookie = $who->cookies->find($session)->{value};
    again($ngx, 'QUIT');
    my $first = content($ngx);
    my ($other) = visitors($browser, 1);
    kill QUIT => $ngx->master_pid;
    OIDC::Nginx::wait_until(sub { $ngx->gone });
    my $good = content($ngx);
    my $size = length $good;
    isnt $good, $first, 'the last change is written when nginx ends';
    my $put = sub { my ($text) = @_; open my $file, '>:raw', $ngx->dir . '/state' or die; print $file $text; close $file };
    # `nginx -t` reads the file as a start does.
    my $conf = OIDC::Nginx::slurp($ngx->dir . '/nginx.conf');
    my ($http) = $conf =~ /^http \{(.*)\}\s*\z/ms;
    my $test = sub { $put->($_[0]); my $binary = OIDC::Nginx::nginx_binary(); return scalar `$binary -t -p @{[$ngx->dir]} -c @{[$ngx->dir]}/nginx.conf -e stderr 2>&1` };
    unlike $test->($good), qr/\[warn\]/, 'the file as it was: no warning';
    my %bad = (
        (map { ("byte $_ changed" => do { my $text = $good; substr($text, $_, 1) ^= "\1"; $text }) } 0, 7, 8, 20, 30, 39, 40, 43, 44, 45, 60, int($size / 2), $size - 20, $size - 1),
        (map { ("cut to $_" => substr $good, 0, $_) } 1, 39, 40, 44, int($size / 2), $size - 1), 'something behind it' => "${good}x", 'twice' => $good x 2, 'text' => "sessions\n" x 100,
        'zeros' => "\0" x $size, 'huge lengths' => substr($good, 0, 40) . "\xff" x 64, 'another file\'s end' => substr($good, 0, 40) . substr($first, 40),
    );
    for my $name (sort keys %bad) {
        my $found = $test->($bad{$name});
        like $found, qr/\[warn\].*state file ".*" of zone "kept" is damaged.*nothing of it is read/, "$name: a warning";
    }
    like $test->("\0" x (5 * 1024 * 1024)), qr/\[warn\].*cannot be read/, 'larger than the zone could ever be';
    $put->($bad{'byte 60 changed'});
    unlink $ngx->dir . '/nginx.pid';
    $ngx->start;
    is inside($who, $other), '401 401', 'nginx starts with an empty zone';
    is scalar(visitors($browser, 1)), 1, 'and people can sign in';
    $ngx->stop;
}

# ---- the key ----

{
    my ($ngx, $browser) = host('');
    my ($who) = visitors($browser, 1);
    kill QUIT => $ngx->master_pid;
    OIDC::Nginx::wait_until(sub { $ngx->gone });
    unlink $ngx->dir . '/nginx.pid', $ngx->dir . '/state.key';
    $ngx->start;
    is inside($who), '401', 'another key: nothing is read';
    like $ngx->error_log, qr/sealed with another key/, 'with a warning';
    my ($next) = visitors($browser, 1);
    my $provider = sub { return site_conf($op, http => 'keyval_zone zone=kept:1m state=%%DIR%%/state;', provider => "session_store kept; logout_uri /logout; $_[0]") };
    again($ngx->configure(http => $provider->($secret)), 'QUIT');
    is inside($next), '200', 'a cookie_secret that comes later: the file of before is still read';
    again($ngx->configure(http => $provider->('cookie_secret "another secret of more than thirty-two bytes"; ' . $secret)), 'QUIT');
    is inside($next), '200', 'a new secret beside the old one: still read';
    again($ngx->configure(http => $provider->('cookie_secret "another secret of more than thirty-two bytes";')), 'QUIT');
    is inside($next), '200', 'and then without the old one';
    $ngx->stop;
}

# ---- timeout, and mistakes ----

{
    my ($ngx, $browser) = host('session_timeout 1h;', zone => 'timeout=2s');
    my ($who) = visitors($browser, 1);
    ok OIDC::Nginx::wait_until(sub { inside($who) eq '401' }), 'timeout=: a session ends after it';
    $ngx->stop;
}
like conf_error("keyval_zone zone=a:1m $_->[0]; keyval_zone zone=b:1m $_->[1];"), $_->[2], "keyval_zone $_->[0] $_->[1]"
    for ['state=/x/s', 'state=/x/s', qr/the state file "\/x\/s" in "keyval_zone" belongs to zone "a" already: give each zone its own/],
    ['state=/x/s state=/x/t', '', qr/invalid parameter "state=\/x\/t" in "keyval_zone"/], ['timeout=never', '', qr/invalid parameter "timeout=never"/];
{
    my $ngx = OIDC::Nginx->new;
    $ngx->write_file('short.key', "x\n", 0600);
    my $text = 'keyval_zone zone=a:1m state=%%DIR%%/short; oidc_provider p { issuer https://op.example; client_id c; client_secret s; session_store a; }';
    like join("\n", $ngx->conf_test($text)), qr/short\.key" holds no key of at least 32 bytes: remove it/, 'a key that is none';
    $ngx->conf_test($text =~ s/short/none/r);
    ok !-e $ngx->dir . '/none.key', 'nginx -t leaves no key behind';
}
{
    my ($ngx, $browser) = do {
        my ($ngx, undef, $browser) = site(op => $op, http => 'keyval_zone zone=kept:1m state=/proc/nothing/state;', provider => "session_store kept; $secret");
        ($ngx, $browser);
    };
    my ($who) = visitors($browser, 1);
    ok $ngx->wait_log(qr/state file ".*" of zone "kept" cannot be written/), 'a directory that is not writable: the log says so';
    is inside($who), '200', 'and sessions are served';
    $ngx->stop;
}

done_testing;
