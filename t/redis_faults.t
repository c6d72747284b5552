# A Redis that hangs, dies, comes back empty or with its data, under a steady load of requests (quality.md): nobody without a valid session is
# let in, what needs none is answered all the while, and all is well again by itself.

use strict;
use warnings;

use FindBin;
use lib "$FindBin::Bin/lib";

use IO::Select;
use OIDC::Redis;
use OIDC::Test;
use POSIX ();
use Time::HiRes ();

my $session = 'NGX_OIDC_SESSION';
my $secret = 'cookie_secret "a cookie secret of more than thirty-two bytes";';
my $op = OIDC::Provider->new(tls => 0);

sub host {
    my ($url, $more) = @_;
    my ($ngx, undef, $browser) = site(op => $op, provider => "$secret session_store " . quoted($url) . "; $more",
        server => 'location = /public { return 200 "open\n"; } location = /signed_in { auth_oidc my_idp; auth_oidc_anonymous allow; proxy_set_header X-Sub "in $oidc_is_logged_in"; proxy_pass http://127.0.0.1:%%PORT_app%%; }');
    return ($ngx, $browser);
}
sub status { return $_[0]->get('/app', kind => 'fetch')->status }
sub back { my ($who) = @_; return OIDC::Nginx::wait_until(sub { status($who) == 200 }) }

# ---- a steady load ----

my $redis = OIDC::Redis->new;
my ($ngx, $browser) = host('unix:' . $redis->socket, 'store_timeout 300ms;');
$browser->login('/app');
my $thief = $browser->fresh;
$thief->cookies->put($session, 'A' x 43);

# Another process asks without end and notes what it got: with a session, with a cookie of nobody's, and without any.
my $notes = $ngx->dir . '/notes';
defined(my $load = fork) or die "cannot fork: $!";
if (!$load) {
    open my $file, '>', $notes or POSIX::_exit(1);
    $file->autoflush(1);
    while (!-e "$notes.stop") {
        for my $case (['valid', $browser, '/app'], ['nobody', $thief, '/app'], ['allowed', $thief, '/signed_in'], ['public', $browser, '/public']) {
            my ($name, $who, $page) = @$case;
            my $answer = eval { $who->get($page, kind => 'fetch') };
            print $file $name, ' ', $answer ? $answer->status . ($name eq 'allowed' && $answer->body =~ /sub=in 1/ ? ' in' : '') : 'none', "\n";
        }
    }
    POSIX::_exit(0);
}
sub notes { my %seen; $seen{$_}++ for split /\n/, OIDC::Nginx::slurp($notes); return \%seen }
sub more_of { my ($line) = @_; my $before = notes()->{$line} // 0; return OIDC::Nginx::wait_until(sub { (notes()->{$line} // 0) > $before + 2 }) }

ok more_of('valid 200'), 'the load runs';
$redis->signal('STOP');
ok more_of('valid 503'), 'Redis hangs: 503';
ok more_of('public 200'), 'what needs no session is answered';
$redis->signal('CONT');
ok more_of('valid 200'), 'and goes on: 200 by itself';
$redis->command('SAVE');
$redis->stop;
ok more_of('valid 503'), 'Redis is killed: 503';
ok more_of('public 200'), 'what needs no session is answered';
$redis->start;
ok more_of('valid 200'), 'it comes back with its data: the session is there by itself';
$redis->stop;
unlink "$redis->{dir}/dump.rdb";
$redis->start;
ok more_of('valid 401'), 'it comes back empty: sign in again';
my $after = notes()->{'valid 200'};
ok more_of('public 200'), 'what needs no session is answered';
is notes()->{'valid 200'}, $after, 'and what is lost does not come back';
my $new = $browser->fresh;
ok OIDC::Nginx::wait_until(sub { $new->login('/app')->status == 200 }), 'a new login works';
open my $stop, '>', "$notes.stop";
waitpid $load, 0;
my $all = notes();
is_deeply [grep { /^nobody 200|^allowed .*in$/ } keys %$all], [], 'in all of that nobody was let in without a session';
is_deeply [grep { /^public/ && $_ ne 'public 200' } keys %$all], [], 'and no public page failed';
is_deeply [grep { !/^(?:valid (?:200|401|503)|nobody (?:401|503)|allowed (?:200|503)|public 200)$/ } keys %$all], [], 'and nothing else was ever answered';
$ngx->stop;

# ---- who waits, and who does not ----

($ngx, $browser) = host('unix:' . $redis->socket, 'store_timeout 60s;');
$browser->login('/app');
$redis->signal('STOP');
my @waiting = map { $browser->send('GET', '/app', kind => 'fetch') } 1 .. 20;
is $browser->get('/public')->status, 200, 'a public page is answered';
is scalar(grep { IO::Select->new($_->{in})->can_read(0) } @waiting), 0, 'while the protected ones still wait';
$waiting[0]->close;
$redis->signal('CONT');
is join(' ', map { $_->response->status } @waiting[1 .. 19]), join(' ', (200) x 19), 'and are answered when Redis is';
$redis->signal('STOP');
my $busy = $browser->send('GET', '/app', kind => 'fetch');
my $out = $ngx->reload(keep_old => 1);
is $browser->get('/public')->status, 200, 'a reload while Redis hangs';
$redis->signal('CONT');
is $busy->response->status, 200, 'loses nobody who waits';
ok back($browser), 'and the new workers know the session';
$ngx->stop;

# ---- the provider's sign-outs wait for Redis too ----

($ngx, $browser) = host('unix:' . $redis->socket, 'store_timeout 300ms; backchannel_logout_uri /back; frontchannel_logout_uri /front;');
my $sid = 0;
sub visitor { my $who = $browser->fresh; $sid++; $op->with(claims => { sid => "sid-$sid" }, sub { $who->login('/app') }); return $who }
my $token = sub { my $text = $op->logout_token(sid => "sid-$sid", sub => undef); secret($text); return $text };
my $call = sub { return $browser->fresh->request('POST', '/back', kind => 'none', form => { logout_token => $_[0] }) };

# Away with all it knows, and back with it.
sub away { $redis->command('SAVE'); $redis->stop }

my $who = visitor();
my $once = $token->();
away();
is $call->($once)->status, 503, 'back channel: Redis is away, 503';
$redis->start;
ok back($who), 'the session is still there';
is $call->($once)->status, 200, 'the same token again, as providers do after a 503: 200';
is status($who), 401, 'and the session is over';
is $call->($once)->status, 400, 'a third time it was used before';

$who = visitor();
my $front = '/front?' . form_encode([['iss', $op->issuer], ['sid', "sid-$sid"]]);
for my $case (['by sid', $browser->fresh], ['by the cookie', $who]) {
    my ($name, $frame) = @$case;
    away();
    my $answer = $frame->get($front, kind => 'none', headers => { 'Sec-Fetch-Dest' => 'iframe' });
    is $answer->status, 503, "front channel $name: Redis is away, and nobody is told that he is signed out";
    is $answer->header('Retry-After'), 1, "front channel $name: with Retry-After";
    is $answer->header('Cache-Control'), 'no-store', "front channel $name: not to be stored";
    $redis->start;
    ok back($who), "front channel $name: the session is still there";
}
is $browser->fresh->get($front, kind => 'none', headers => { 'Sec-Fetch-Dest' => 'iframe' })->status, 200, 'front channel: when it goes on, 200';
is status($who), 401, 'and the session is over';
$ngx->stop;

# ---- a Redis with a password alone, and another database ----

my $other = OIDC::Redis->new(password => 'p@ss word', certificates => $op->dir, bind => '127.0.0.1 127.0.0.2');
for my $case (['a password and a database', 'redis://:p%40ss%20word@127.0.0.1:' . $other->port . '/3?prefix=mine:'], ['a socket with a database', 'unix:' . $other->socket . '?password=p%40ss%20word&db=3&prefix=mine:'],
    ['TLS with a database', 'rediss://:p%40ss%20word@127.0.0.1:' . $other->tls_port . '/3?prefix=mine:&ca=' . $op->ca]) {
    my ($name, $url) = @$case;
    my ($ngx, $browser) = host($url, 'store_timeout 2s;');
    is $browser->login('/app')->status, 200, "$name: signed in";
    is_deeply [grep { !/^mine:/ } $other->keys_of(3)], [], "$name: every key has the prefix";
    is scalar(grep { /^mine:s:/ } $other->keys_of(3)), 1, "$name: and lies in that database";
    is scalar(my @none = $other->keys_of(0)), 0, "$name: nothing in another one";
    $other->command('FLUSHALL');
    $ngx->stop;
}
for my $case (['no password', 'redis://127.0.0.1:' . $other->port, qr/NOAUTH/], ['a wrong one', 'redis://:wrong@127.0.0.1:' . $other->port, qr/AUTH or SELECT was refused/],
    ['plain where TLS is', 'redis://:x@127.0.0.1:' . $other->tls_port, qr/session store "redis:/], ['TLS where plain is', 'rediss://:x@127.0.0.1:' . $other->port . '?ca=' . $op->ca, qr/session store "rediss:.*(?:no answer|TLS)/],
    ['a certificate for another name', 'rediss://:p%40ss%20word@127.0.0.2:' . $other->tls_port . '?ca=' . $op->ca, qr/certificate is refused/]) {
    my ($name, $url, $line) = @$case;
    my ($ngx, $browser) = host($url, 'store_timeout 500ms;');
    $browser->cookies->put($session, 'A' x 43);
    is status($browser), 503, "$name: 503";
    is $browser->get('/public')->status, 200, "$name: what needs no session is served";
    like $ngx->error_log, $line, "$name: the log says so";
    $ngx->stop;
}

done_testing;
