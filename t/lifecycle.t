# What processes and clients that come and go leave behind: logins and sessions across a reload,
# a killed worker, a shutdown and a client that leaves, two workers that share everything, and one process alone.

use strict;
use warnings;

use FindBin;
use lib "$FindBin::Bin/lib";

use OIDC::Test;

my $status = 'location = /status { auth_oidc off; auth_oidc_status; } add_header X-Worker $pid always;';
sub wait_until { return OIDC::Nginx::wait_until(@_) }
sub click { my ($who, $url) = @_; return $who->send('GET', $url, site => 'cross-site') }
sub provider_status { my ($who) = @_; return $who->get('/status', kind => 'none')->json->{providers}[0] }
sub begins { my ($answer, $op) = @_; return ($answer->location // $answer->status) =~ m{^\Q@{[$op->issuer]}\E/authorize\?} }

# ---- one worker: reload ----

my ($ngx, $op, $browser) = site(server => $status, provider => 'userinfo on; read_timeout 60s;');
{
    my $known = $browser->fresh;
    $known->login('/app');
    my $who = $browser->fresh;
    my $url = $who->callback_of('/mid%20login?x=1');
    ok $ngx->reload, 'reload';
    is $who->open_callback($url)->location, $who->resolve('/mid%20login?x=1'), 'a ticket of the old process finishes in the new one';
    is $who->get('/app')->header('X-Sub'), 'alice', 'and signs in';
    ok has_session($known), 'a session from before goes on';
    is $who->open_callback($url)->location, $who->resolve('/mid%20login?x=1'), 'a state stays used over a reload: the back button is no second exchange';
    is scalar($op->refused), 0, 'the provider saw no code twice';
}
{
    my $who = $browser->fresh;
    my $url = $who->callback_of('/in_flight');
    my ($old) = $ngx->worker_pids;
    $op->hold('token');
    my $click = click($who, $url);
    $op->wait_held('token');
    ok $ngx->reload(keep_old => 1), 'reload while a code is being exchanged';
    ok wait_until(sub { $browser->fresh->get('/open')->header('X-Worker') != $old }), 'a new worker serves others';
    $op->release('token');
    is $click->response->location, $who->resolve('/in_flight'), 'the old worker finishes the login';
    is $who->get('/app')->status, 200, 'which the new one knows';
    ok wait_until(sub { !grep { $_ == $old } $ngx->worker_pids(all => 1) }), 'and the old one leaves';
}

# ---- one worker: killed ----

{
    my $known = $browser->fresh;
    $known->login('/app');
    my $who = $browser->fresh;
    my $url = $who->callback_of('/cut');
    my $before = $op->count('token');
    $op->hold('token');
    my @clicks = map { click($who, $url) } 1 .. 2;
    $op->wait_held('token');
    $ngx->kill_worker;
    is_deeply [map { $_->response(1) } @clicks], [], 'a worker killed in the exchange: its clients get nothing';
    $op->release('token');
    my $again = $who->open_callback($url);
    ok begins($again, $op), 'the next click begins one fresh login: its state was cut off by a dead process';
    is $op->count('token') - $before, 1, 'and the code is not sent again';
    is $who->open_callback($who->approve($again)->location)->location, $who->resolve('/cut'), 'which leads to the same target';
    ok has_session($known), 'sessions outlive the worker';
    is $known->get('/app')->header('X-Sub'), 'alice', 'with their claims';
}

# ---- clients that leave, at every moment of a callback ----

sub left { my ($mark) = @_; return $ngx->wait_log(qr/client (?:prematurely )?closed connection|reset by peer/, $mark) }

for my $moment (qw(token userinfo)) {
    my $before = provider_status($browser);
    my $who = $browser->fresh;
    my $url = $who->callback_of("/left_at_$moment");
    my $mark = $ngx->log_mark;
    $op->hold($moment);
    my $click = click($who, $url);
    $op->wait_held($moment);
    $click->close;
    ok left($mark), "$moment is asked and the client leaves: it is noticed at once";
    is $browser->get('/open')->status, 200, "$moment: others are served";
    $op->release($moment);
    is_deeply [@{ provider_status($browser) }{qw(sessions store_bytes_used)}], [@$before{qw(sessions store_bytes_used)}], "$moment: nothing is left behind";
    ok begins($who->open_callback($url), $op), "$moment: the same click again begins one fresh login";
}
{
    my @left = map { my $who = $browser->fresh; [$who, $who->callback_of("/gone_$_")] } 1 .. 64;
    my $mark = $ngx->log_mark;
    $op->hold('token');
    my @clicks = map { click(@$_) } @left;
    $op->wait_held('token', 64);
    my $late = $browser->fresh;
    my $url = $late->callback_of('/late');
    is $late->open_callback($url)->status, 503, '64 exchanges are all that run at once';
    $_->close for @clicks;
    ok wait_until(sub { (() = $ngx->log_since($mark) =~ /closed connection|reset by peer/g) >= 64 }), '64 clients leave in the middle';
    $op->release('token');
    my $fresh = $late->open_callback($url);
    ok begins($fresh, $op), 'and no place stays taken: the one who was turned away begins anew';
    is $late->open_callback($late->approve($fresh)->location)->location, $late->resolve('/late'), 'and signs in';
}
$ngx->stop;

# The fetch of keys belongs to the worker: it goes on for all when the one who caused it has left.
{
    my ($site, $rotating, $first) = site(op => { tls => 0 });
    $first->login('/app');
    $rotating->set(keys => ['rs2'], key => 'rs2');
    $rotating->hold('jwks');
    my $who = $first->fresh;
    my $url = $who->callback_of('/keys');
    my $mark = $site->log_mark;
    my $click = click($who, $url);
    $rotating->wait_held('jwks');
    $click->close;
    ok $site->wait_log(qr/closed connection|reset by peer/, $mark), 'keys are fetched and the client leaves: it is noticed at once';
    my $stayer = $first->fresh;
    my $other = click($stayer, $stayer->callback_of('/others'));
    $rotating->wait_for('token', 3);
    $rotating->release('jwks');
    is $other->response->location, $stayer->resolve('/others'), 'the keys come all the same, for who waits still';
    is $rotating->count('jwks'), 2, 'by one fetch';
    ok begins($who->open_callback($url), $rotating), 'who left begins one fresh login';
    $site->stop;
}

# ---- connections that go on: what was sent with a request is not the next one ----

{
    my ($site, $op, $who) = site(op => { tls => 0 }, provider => 'logout_uri /logout;', location => 'auth_oidc_anonymous $arg_mode;');
    my $smuggled = "GET /open?smuggled HTTP/1.1\r\nHost: localhost\r\n\r\n";
    my $wait = sub { my ($requests) = @_; return join ' ', map { $_->status } $who->raw($requests) };
    for my $case (
        ['the 401 page', 'POST /app?mode=auto', 401], ['401 for programs', 'PUT /app?mode=deny', 401], ['the redirect', 'POST /app?mode=login', 302],
        ['a method at the callback', 'POST /oidc_callback?code=x', 405], ['a method at login_uri', 'DELETE /oidc_login', 405], ['login_uri', 'GET /oidc_login', 302],
        ['the callback', 'GET /oidc_callback?code=x&state=y', 400], ['logout_uri', 'GET /logout', 200], ['a mode that is none', 'POST /app?mode=x', 500],
    ) {
        my ($name, $line, $status) = @$case;
        my $length = length $smuggled;
        my $first = "$line HTTP/1.1\r\nHost: localhost\r\nAccept: text/html\r\n";
        my $last = "GET /open HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n";
        is $wait->("${first}Content-Length: $length\r\n\r\n$smuggled$last"), "$status 200", "$name: a body is no request";
        is $wait->(sprintf "%sTransfer-Encoding: chunked\r\n\r\n%x\r\n%s\r\n0\r\n\r\n%s", $first, $length, $smuggled, $last), "$status 200", "$name: nor is a chunked one";
    }
    is $wait->("GET /oidc_callback?code=x&state=y HTTP/1.1\r\nHost: localhost\r\n\r\n" x 3 . "GET /open HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n"), '400 400 400 200',
        'requests sent at once are answered in turn';
    unlike $site->access_log, qr/smuggled/, 'no body was taken for a request';
    $site->stop;
}

# ---- slow providers ----

{
    my $limit = OIDC::Nginx::patience() > 15 ? 15 : 2;  # sanitizers and valgrind are slow themselves
    my ($site, $slow, $who) = site(provider => "read_timeout ${limit}s;");
    my $url = $who->callback_of('/slow');
    my $answer = $slow->with(token => { drip => 0.0005, piece => 40 }, sub {
        my $click = click($who, $url);
        $slow->wait_for('token');
        is $who->fresh->get('/open')->status, 200, 'a token endpoint that drips: others are served';
        $click->response;
    });
    is $answer->location, $who->resolve('/slow'), 'and it signs in when it is done in time';
    for my $case (['drips for longer than read_timeout', { drip => 0.2, piece => 1 }], ['is silent for longer', { delay => 10 * $limit }]) {
        my $waiting = $who->fresh;
        my $failed = $slow->with(token => $case->[1], sub { $waiting->login('/app', until => 'callback') });
        like $failed->status, qr/^50[24]$/, "a token endpoint that $case->[0]: an error page";
        ok !has_session($waiting), "$case->[0]: no session";
    }
    $site->stop;
}

# ---- two workers ----

{
    # Without a TLS front, which the killed worker would take along.
    my ($site, $op, $first) = site(server => $status, nginx => { workers => 2 }, op => { tls => 0 });
    my @pids = $site->worker_pids;
    # Asks until each worker has answered, and gives all answers.
    my $by_all = sub {
        my ($path, $who) = @_;
        my (%seen, @answers);
        wait_until(sub {
            my $answer = $who->get($path);
            push @answers, $answer;
            $seen{ $answer->header('X-Worker') } = 1;
            return keys %seen == 2;
        }) or die "one worker never answered\n";
        return @answers;
    };
    $first->login('/app');
    is_deeply [grep { $_ != 200 } map { $_->status } $by_all->('/app', $first)], [], 'two workers: a session counts in both';
    is_deeply [grep { $_ ne 'alice' } map { $_->header('X-Sub') } $by_all->('/app', $first)], [], 'with its claims';
    for (1 .. 8) {
        my $who = $first->fresh;
        is $who->login("/n$_")->status, 200, 'a login may go through both';
    }
    my @half = map { my $who = $first->fresh; [$who, $who->callback_of("/both_$_")] } 1 .. 12;
    $op->hold('token');
    my @clicks = map { click(@$_) } @half;
    $op->wait_held('token', 12);
    $site->kill_worker;
    $op->release('token');
    my $signed_in = 0;
    for my $i (0 .. 11) {
        my ($who, $url) = @{ $half[$i] };
        my $answer = $clicks[$i]->response(1) // $who->open_callback($url);
        $answer = $who->open_callback($who->approve($answer)->location) if begins($answer, $op);
        $signed_in += ($answer->location // '') eq $who->resolve('/both_' . ($i + 1));
    }
    is $signed_in, 12, 'one of two workers is killed in 12 exchanges: all sign in, at once or by one fresh login';
    is_deeply [grep { $_ != 200 } map { $_->status } $by_all->('/app', $first)], [], 'and sessions go on in both';
    is $first->get('/status', kind => 'none')->json->{logins_finished}, 9 + 12, 'each login counts once';
    $site->stop;
}

# ---- shutdown ----

for my $case (['QUIT', '', 1], ['QUIT', 'worker_shutdown_timeout 1s;', 0], ['TERM', '', 0]) {
    my ($signal, $main, $finishes) = @$case;
    my $name = $main ? "$signal with worker_shutdown_timeout" : $signal;
    my ($site, $op, $who) = site(nginx => { main => $main }, op => { tls => 0 });
    my $late = $who->fresh;
    my $mine = $late->callback_of('/leaving');
    $op->hold('token');
    my $click = click($late, $mine);
    $op->wait_held('token');
    kill $signal, $site->master_pid;
    if ($finishes) {
        ok wait_until(sub { $site->error_log =~ /gracefully shutting down/ }), "$name: nginx begins to leave";
        $op->release('token');
        is $click->response->location, $late->resolve('/leaving'), "$name: a login in flight is finished";
    }
    else {
        is $click->response(1), undef, "$name: a login in flight ends with the worker";
        $op->release('token');
    }
    $site->stop($signal);
}

# ---- the configuration changes beneath sessions and logins ----

{
    my $mine = OIDC::Provider->new(tls => 0);
    my $conf = sub { my ($zone, $more) = @_; return "keyval_zone zone=kept:$zone; " . site_conf($mine, provider => "session_store kept; $more") };
    my ($site, undef, $who) = site(op => $mine, conf => $conf->('64k', ''));
    $who->login('/app');
    my $half = $who->fresh;
    my $url = $half->callback_of('/app');
    ok $site->configure(http => $conf->('64k', 'scope email;'))->reload, 'other directives';
    ok has_session($who), 'another configuration with the same provider and client: the session goes on';
    $site->configure(http => $conf->('128k', ''))->reload;
    ok !has_session($who), 'a zone of another size starts empty';
    is $half->open_callback($url)->location, $half->resolve('/app'), 'logins in flight need no zone';
    $who->login('/app');
    $half = $who->fresh;
    $url = $half->callback_of('/later');
    my $other = $conf->('128k', '') =~ s/client_id "[^"]*"/client_id other/r;
    $site->configure(http => $other)->reload;
    ok !has_session($who), 'another client: its sessions are others';
    is $half->open_callback($url)->status, 400, 'and its logins too';
    $site->configure(http => "$other nonsense;");
    ok !$site->reload, 'a configuration that is refused';
    $site->configure(http => $conf->('128k', ''))->reload;
    ok has_session($who), 'the first client again: the zone has kept its session';
    $site->stop;
}

# ---- one process: master_process off ----

{
    my ($site, $op, $who) = site(nginx => { main => 'master_process off;' }, provider => 'userinfo on; logout_uri /logout;');
    is $who->login('/alone')->status, 200, 'master_process off: a login';
    is $who->get('/app')->header('X-Sub'), 'alice', 'master_process off: the session';
    is $who->get('/logout')->is_redirect, 1, 'master_process off: signing out';
    ok !has_session($who), 'master_process off: signed out';
    $site->stop;
}

done_testing;
