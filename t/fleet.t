# Several hosts with one Redis: a session is refreshed once, whichever hosts its requests come to, and a host that holds the
# lease and goes away costs a wait and no session.

use strict;
use warnings;

use FindBin;
use lib "$FindBin::Bin/lib";

use OIDC::Redis;
use OIDC::Test;

my $session = 'NGX_OIDC_SESSION';
my $shared = 'cookie_secret "a cookie secret of more than thirty-two bytes"; session_store unix:%s; logout_uri /logout; %s';
my $redis = OIDC::Redis->new;
my $op = OIDC::Provider->new(tls => 0);

# A host of the fleet and a browser that asks it.
sub host {
    my ($more, %option) = @_;
    my ($ngx, undef, $who) = site(op => $op, provider => sprintf($shared, $redis->socket, $more // ''), location => 'add_header X-Token $oidc_access_token always;', nginx => { workers => 2 }, %option);
    return { ngx => $ngx, browser => $who };
}

sub statuses {
    my %seen;
    $seen{ $_->response->status }++ for @_;
    return join ' ', map { "$_:$seen{$_}" } sort keys %seen;
}

# The same cookie at each host.
sub everywhere {
    my ($who, @hosts) = @_;
    my $cookie = $who->cookies->find($session)->{value};
    return map { my $there = $_->{browser}->fresh; $there->cookies->put($session, $cookie); $there } @hosts;
}

my @hosts = (host(), host());

# A new session whose access token has so many seconds; later ones live long.
sub visitor {
    my ($seconds) = @_;
    my $who = $hosts[0]{browser}->fresh;
    $op->configure(expires_in => $seconds);
    my $answer = $who->login('/app', until => 'callback');
    die 'no login: ' . $answer->status . "\n" unless $answer->is_redirect;
    $op->configure(expires_in => 3600);
    $op->forget;
    return everywhere($who, @hosts);
}

# ---- once ----

for my $round (1 .. 8) {
    my @who = visitor($round % 2 ? 30 : 0);
    is statuses(map { $who[$_ % 2]->send('GET', '/app') } 1 .. 50), '200:50', "round $round: all of 50 at two hosts are answered";
    is $op->count('refresh'), 1, "round $round: by one refresh";
    is join(' ', map { $_->get('/app')->status } @who), '200 200', "round $round: the session is valid at both";
    is_deeply [$op->refused], [], "round $round: no token was used twice";
}
{
    my @who = visitor(0);
    $op->hold('refresh');
    my $first = $who[0]->send('GET', '/app');
    $op->wait_held('refresh');
    my @rest = map { $who[1]->send('GET', '/app') } 1 .. 10;
    is $who[1]->get('/open')->status, 200, 'the other host goes on';
    is $op->held('refresh'), 1, 'and asks for nothing itself';
    $op->release('refresh');
    is statuses($first, @rest), '200:11', 'a token that is over: those at the other host wait for the refresh at the first';
    is $op->count('refresh'), 1, 'which is the only one';
    is scalar(my @left = $redis->keys('oidc:l:*')), 0, 'the lease is given back';
}
{
    my @who = visitor(30);
    $op->hold('refresh');
    my $first = $who[0]->send('GET', '/app');
    $op->wait_held('refresh');
    is statuses(map { $who[1]->send('GET', '/app') } 1 .. 10), '200:10', 'while the token lives everybody at the other host goes on';
    $op->release('refresh');
    is statuses($first), '200:1', 'and the first one too in the end';
    is $op->count('refresh'), 1, 'one refresh';
}

# ---- no, and away ----

{
    my @who = visitor(0);
    my $found = $op->with(refresh => { status => 400, body => '{"error":"invalid_grant"}' }, sub { statuses(map { $who[$_ % 2]->send('GET', '/app', kind => 'fetch') } 1 .. 20) });
    is $found, '401:20', 'a refused refresh ends the session at both hosts';
    is $op->count('refresh'), 1, 'nobody asks again';
}
{
    my @who = visitor(0);
    $op->down;
    is join(' ', map { $_->get('/app')->status } @who), '200 200', 'the provider is away: the session goes on at both';
    $op->up;
    is scalar(my @left = $redis->keys('oidc:l:*')), 0, 'no lease is left';
    ok OIDC::Nginx::wait_until(sub { length($who[1]->get('/app')->header('X-Token') // '') }), 'and is refreshed when it is back';
}

# ---- a host dies in the middle ----

{
    my @short = map { host('connect_timeout 100ms; read_timeout 300ms; store_timeout 300ms;') } 1, 2;
    my @who = visitor(0);
    my @there = everywhere($who[0], @short);
    $op->hold('refresh');
    my $lost = $there[0]->send('GET', '/app');
    $op->wait_held('refresh');
    kill KILL => $_ for $short[0]{ngx}->worker_pids;
    $short[0]{ngx}->allow(qr/exited on signal 9/);
    eval { $lost->response };
    is scalar(my @left = $redis->keys('oidc:l:*')), 1, 'a host died and left a lease';
    $op->release('refresh');
    is $there[1]->get('/app', kind => 'fetch')->status, 200, 'at the other host the session goes on';
    $op->forget;
    ok OIDC::Nginx::wait_until(sub { $there[1]->get('/app', kind => 'fetch'); $op->count('refresh') }), 'the lease ends, and the other host refreshes';
    $_->{ngx}->stop for @short;
}

# ---- a sign-out in the middle ----

for my $round (1 .. 20) {
    my @who = visitor(0);
    my ($thief) = everywhere($who[0], $hosts[0]);
    $op->hold('refresh') if $round % 2;
    my $busy = $who[0]->send('GET', '/app');
    $op->wait_held('refresh') if $round % 2;
    my $out = $who[1]->get('/logout', site => 'same-origin');
    $op->release('refresh') if $round % 2;
    $busy->response;
    is_deeply [$out->status, has_session($thief)], [302, 0], "round $round: signed out at one host, a refresh at the other does not bring it back";
}
$_->{ngx}->stop for @hosts;

done_testing;
