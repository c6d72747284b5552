# What depends on the time of day, under a clock that the test moves (libfaketime): ends of sessions and logins, ages of provider data,
# keys of a day, the loop guard, and years that are far off. The provider's own clock stays, so its tokens are dated by hand.

use strict;
use warnings;

use FindBin;
use lib "$FindBin::Bin/lib";

use OIDC::Test;

plan(skip_all => 'no clock of its own under sanitizers and valgrind') if !OIDC::Nginx::faketime();

my ($minute, $hour, $day) = (60, 3600, 86400);
my $op = OIDC::Provider->new(tls => 0, refresh_tokens => 0);
my ($ngx, undef, $browser);
my $now = 0;

# The directives of a provider, and whether there are two workers.
sub begin {
    my ($provider, %option) = @_;
    $ngx->stop if $ngx;
    $now = 0;
    ($ngx, undef, $browser) = site(op => $op, provider => $provider, nginx => { clock => 1, workers => $option{workers} // 1 }, %option);
    return $browser;
}

# So much later than it is; tokens that are given out from now on are of that time.
sub at { $now = shift; $ngx->clock($now); return }
sub dated { my ($code) = @_; my $time = time + $now; return $op->with(claims => { iat => $time, exp => $time + 600, auth_time => $time }, $code) }
sub signs_in { my ($who, $path) = @_; return dated(sub { $who->login($path // '/app')->status == 200 ? 1 : 0 }) }
sub goes_away { my ($who) = @_; return $who->get('/app')->is_redirect ? 1 : 0 }

# ---- sessions ----

{
    my $who = begin('session_timeout 8h; session_idle_timeout 30m;', server => 'location = /poll { auth_oidc my_idp; auth_oidc_touch off; try_files /none @in; } location @in { return 204; }');
    ok signs_in($who), 'signed in';
    my $in = 0;
    for my $step (1 .. 19) { at($step * 25 * $minute - 2); $in += has_session($who, '/app') }
    is $in, 19, 'used every 25 minutes: the idle life of 30 does not end it';
    at(8 * $hour - 3);
    ok has_session($who, '/app'), 'session_timeout: there to the last';
    at(8 * $hour + 3);
    ok !has_session($who, '/app'), 'and not beyond';
    ok signs_in($who), 'a new sign-in';
    at(8 * $hour + 3 + 29 * $minute);
    is $who->get('/poll')->status, 204, 'idle for 29 minutes: still there, and polling';
    at(8 * $hour + 3 + 31 * $minute);
    ok !has_session($who, '/app'), 'idle for 31, polls do not count: over';
}

# What a cookie holds is written back by an answer: most of them must not be.
{
    my $who = begin('session_store cookie; cookie_secret "' . 'a secret of the test, ' x 3 . '"; session_idle_timeout 50m;');
    ok signs_in($who), 'signed in, the session in a cookie';
    at(4 * $minute);
    my $answer = $who->get('/app');
    is_deeply [$answer->status, scalar($answer->set_cookies)], [200, 0], 'used after less than a tenth of the idle life: no cookie';
    at(6 * $minute);
    $answer = $who->get('/app');
    is_deeply [$answer->status, scalar($answer->set_cookies)], [200, 1], 'after more than a tenth: a new one';
    is $answer->header('Cache-Control'), 'private, no-store', 'in an answer that nobody else may have';
    at(55 * $minute);
    ok has_session($who, '/app'), 'and it counts: 49 minutes later the session is there';
}

# ---- logins in flight ----

{
    my $who = begin('login_timeout 10m;');
    my %url = map { my $visitor = $who->fresh; ($_ => [$visitor, $visitor->callback_of("/$_")]) } qw(early late);
    at(10 * $minute - 5);
    is dated(sub { $url{early}[0]->open_callback($url{early}[1]) })->location, $who->resolve('/early'), 'login_timeout: 9:55 minutes are in time';
    at(10 * $minute + 5);
    is dated(sub { $url{late}[0]->open_callback($url{late}[1]) })->status, 400, '10:05 are not';
    # A few seconds between the clocks of two hosts, or a clock that is set right.
    my $ahead = $who->fresh;
    my $url = $ahead->callback_of('/ahead');
    at(10 * $minute);
    is dated(sub { $ahead->open_callback($url) })->location, $who->resolve('/ahead'), 'a clock that goes back by seconds ends no login';
    at(5 * $minute);
    my $far = $who->fresh;
    at(10 * $minute);
    $url = $far->callback_of('/far');
    at(5 * $minute);
    is dated(sub { $far->open_callback($url) })->status, 400, 'nor is a login from the future believed';
}
{
    my $who = begin('login_timeout 3d;');
    my $midnight = $day - time % $day;
    my %at = (before => $midnight - 2 * $minute, after => $midnight + 2 * $minute, next => $midnight + $day - 2 * $minute, over => $midnight + $day + 2 * $minute);
    at($at{before});
    my %url = map { my $visitor = $who->fresh; ($_ => [$visitor, $visitor->callback_of("/$_")]) } qw(after next over);
    for my $case (['after', 1, 'two minutes later'], ['next', 1, 'the whole day after'], ['over', 0, 'one day more']) {
        my ($when, $good, $name) = @$case;
        at($at{$when});
        my $answer = dated(sub { $url{$when}[0]->open_callback($url{$when}[1]) });
        is $answer->status, $good ? 302 : 400, "a ticket sealed before midnight: $name, " . ($good ? 'yesterday\'s key still opens' : 'no key does');
    }
}

# ---- the loop guard looks back a minute ----

{
    my $who = begin('');
    my $forget = sub { $who->cookies->remove('NGX_OIDC_SESSION') };
    for my $second (0, 20, 40) { at($second); signs_in($who); $forget->() }
    at(55);
    is $who->begin('/app')->status, 400, 'three callbacks within a minute and another login: the page';
    at(70);
    is $who->begin('/app')->status, 302, 'a moment later only two were within a minute';
}

# ---- the confirmation of a sign-out ----

{
    my $who = begin('logout_uri /logout; session_timeout 1d;');
    for my $case ([9, 1, 'nine minutes old: done'], [11, 0, 'eleven minutes old: asked again']) {
        my ($minutes, $done, $name) = @$case;
        at(0);
        $who = $who->fresh;
        signs_in($who);
        my $page = $who->get('/logout', kind => 'none');
        my @inputs = map { [map { OIDC::Browser::html_unescape($_) } @$_] } OIDC::Browser::form_inputs($page->body);
        at($minutes * $minute);
        is $who->post('/logout', \@inputs, kind => 'none')->is_redirect ? 1 : 0, $done, "a confirmation $name";
        is has_session($who, '/app'), $done ? 0 : 1, "a confirmation $name, as the session shows";
    }
}

# ---- provider data ----

sub counts { return [map { $op->count($_) } qw(discovery jwks)] }
# Asks until the fetch that use has set off has ended, whatever it brought.
sub fetched { my ($endpoint, $count) = @_; return OIDC::Nginx::wait_until(sub { $browser->fresh->begin('/app'); $op->count($endpoint) >= $count }) ? 1 : 0 }

for my $case (
    ['nothing', {}, 58 * $minute, 62 * $minute],
    ['max-age=0', { 'Cache-Control' => 'max-age=0' }, 4 * $minute, 6 * $minute],
    ['max-age=7200', { 'Cache-Control' => 'public, max-age=7200' }, 118 * $minute, 122 * $minute],
    ['a year', { 'Cache-Control' => 'max-age=31536000' }, 23 * $hour, 25 * $hour],
) {
    my ($name, $headers, $fresh, $due) = @$case;
    $op->with(discovery => { headers => $headers }, jwks => { headers => $headers }, sub {
        my $who = begin('');
        $op->forget;
        signs_in($who->fresh);
        is_deeply counts(), [1, 1], "Cache-Control says $name: fetched at first use";
        at($fresh);
        $who->fresh->begin('/app') for 1 .. 3;
        is_deeply counts(), [1, 1], "Cache-Control says $name: fresh for long enough";
        at($due);
        is_deeply counts(), [1, 1], 'nothing is fetched while nobody asks';
        is fetched('discovery', 2) + fetched('jwks', 2), 2, "Cache-Control says $name: due, and renewed by use";
        at($due + 1);
        $who->fresh->begin('/app') for 1 .. 3;
        is_deeply counts(), [2, 2], 'once';
    });
}
{
    my $who = begin('session_timeout 30d;', workers => 2);
    my $known = $who->fresh;
    signs_in($known);
    $op->forget;
    at(2 * $hour);
    $op->hold('discovery');
    my @waiting = map { $who->fresh->send('GET', '/app') } 1 .. 20;
    is_deeply [map { $_->response->status } @waiting], [(302) x 20], 'due: nobody waits for it, the old copy serves';
    $op->wait_held('discovery');
    $who->fresh->begin('/app') for 1 .. 20;
    is $op->count('discovery'), 1, 'one fetch for all workers';
    $op->release('discovery');
    ok fetched('jwks', 1), 'keys follow';

    $op->down;
    my $fetched = 2 * $hour;
    at($fetched + 24 * $hour);
    is goes_away($who->fresh), 1, 'the provider is away for a day: the stale copy serves logins';
    at($fetched + 26 * $hour);
    my $answer = $who->fresh->get('/app');
    is $answer->status, 503, 'for longer: 503';
    like $answer->header('Retry-After') // '', qr/^(?:[1-9]|[12]\d|30)$/, 'with Retry-After';
    ok has_session($known, '/app'), 'sessions never depend on it';
    $op->up;
    ok OIDC::Nginx::wait_until(sub { goes_away($who->fresh) }, 60), 'back again: logins go on';
}
{
    my $who = begin('');
    $who->begin('/app');
    $op->forget;
    at(-30 * $day);
    ok fetched('discovery', 1), 'a clock that was set back does not keep data fresh for weeks';
}

# ---- years ----

for my $case ([2039, 'beyond 2038'], [2107, 'beyond 2106']) {
    my ($year, $name) = @$case;
    my $who = begin('session_timeout 8h; session_idle_timeout 1h;');
    my $far = ($year - 1970) * 365.2425 * $day - time;
    at(int $far);
    ok signs_in($who), "$name: a login";
    is $who->get('/app')->header('X-Sub'), 'alice', "$name: a session";
    like $who->get('/app')->header('Date'), qr/ (?:$year|@{[$year - 1]}) /, "$name: so it is";
    at(int($far) + 50 * $minute);
    ok has_session($who, '/app'), "$name: used";
    at(int($far) + 9 * $hour);
    ok !has_session($who, '/app'), "$name: over";
    is $op->with(claims => { iat => time, exp => time + 600 }, sub { $who->login('/app', until => 'callback') })->status, 502, "$name: a token of today is too old";
}

done_testing;
