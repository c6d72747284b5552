# A sign-out that races a refresh and the writing back of the idle life: whoever is faster, the session never comes back.
# OIDC_ROUNDS=1000 for many more of them.

use strict;
use warnings;

use FindBin;
use lib "$FindBin::Bin/lib";

use OIDC::Redis;
use OIDC::Test;

my $rounds = $ENV{OIDC_ROUNDS} || 30;
my $at_once = 15;
my $session = 'NGX_OIDC_SESSION';
my $op = OIDC::Provider->new(tls => 0);
my $redis = OIDC::Redis->new;

for my $case (['the zone', ''], ['a zone with a state file', 'session_store kept;'], ['Redis', 'session_store unix:' . $redis->socket . ';']) {
    my ($name, $store) = @$case;
    # A use is written back when two seconds have passed.
    my ($ngx, undef, $browser) = site(op => $op, http => 'keyval_zone zone=kept:8m state=%%DIR%%/state;', nginx => { workers => 2 },
        provider => "$store session_idle_timeout 19s; read_timeout 60s; logout_uri /logout; cookie_secret \"a cookie secret of more than thirty-two bytes\";",
        location => 'add_header X-Token $oidc_access_token always;');
    my ($over, $back, $unexpected, $refreshed, $done) = (0, 0, 0, 0, 0);
    while ($done < $rounds) {
        $op->configure(expires_in => 0);
        my @all = map {
            my $who = $browser->fresh;
            my $answer = $who->login('/app', until => 'callback');
            die 'no login: ' . $answer->status . "\n" unless $answer->is_redirect;
            $who;
        } 1 .. $at_once;
        $op->configure(expires_in => 3600);
        $op->forget;
        my $signed_in = time;
        OIDC::Nginx::wait_until(sub { time > $signed_in + 2 });
        # Use, sign-out, use: in every order that two workers and two connections make of it. Of a third the refresh has reached the provider
        # when they sign out.
        $op->hold('refresh');
        my @sent = map {
            my ($who, $i) = ($all[$_], $_);
            my $cookie = $who->cookies->find($session)->{value};
            my @uses = map { my $same = $who->fresh; $same->cookies->put($session, $cookie); $same } 1, 2;
            my $out = sub { $who->send('GET', '/logout', site => 'same-origin') };
            my $use = sub { $_[0]->send('GET', '/app', kind => 'fetch') };
            [$cookie, $i % 3 == 0 ? ($out->(), map { $use->($_) } @uses) : $i % 3 == 1 ? ($use->($uses[0]), $out->(), $use->($uses[1])) : ((map { $use->($_) } @uses), $out)];
        } 0 .. $#all;
        $op->wait_held('refresh', int @all / 3);
        for my $late (grep { ref $_->[-1] eq 'CODE' } @sent) { $late->[-1] = $late->[-1]->() }
        $op->release('refresh');
        for my $sent (@sent) {
            my ($cookie, @answers) = @$sent;
            my @statuses = map { $_->response->status } @answers;
            $unexpected++ if grep { !/^(?:200|302|401)$/ } @statuses;
            my $thief = $browser->fresh;
            $thief->cookies->put($session, $cookie);
            my $status = $thief->get('/app', kind => 'fetch')->status;
            $status == 401 ? $over++ : $back++;
        }
        $refreshed += $op->count('refresh');
        $done += $at_once;
    }
    is $back, 0, "$name: of $done sessions that were signed out while they were refreshed and used none came back";
    is $over, $done, "$name: all are over";
    is $unexpected, 0, "$name: and nothing else was answered";
    cmp_ok $refreshed, '>=', int $done / 3 - 1, "$name: there were refreshes to race with";
    is scalar(my @left = $redis->keys('oidc:s:*')), 0, "$name: nothing is left there" if $name eq 'Redis';
    $ngx->stop;
}

done_testing;
