# session_revocation: whoever signed out of a session in a cookie stays out: in every worker, after a reload, a
# restart, on other hosts, and when the list is full.

use strict;
use warnings;

use FindBin;
use lib "$FindBin::Bin/lib";

use OIDC::Redis;
use OIDC::Test;

my $secret = 'a cookie secret of more than thirty-two bytes';
my $name = 'NGX_OIDC_SESSION';
my $op = OIDC::Provider->new(tls => 0);
my $conf = "session_store cookie; cookie_secret \"$secret\"; logout_uri /logout; backchannel_logout_uri /backchannel; frontchannel_logout_uri /front;";
sub start {
    my ($more, %option) = @_;
    return site(op => $op, nginx => { workers => 2, %{ $option{nginx} || {} } }, provider => "$conf $more", http => $option{http});
}
sub visitor {
    my ($who, %claims) = @_;
    my $one = $who->fresh;
    $op->with(claims => \%claims, sub { $one->login('/app') });
    return $one;
}
# A browser that kept its cookie.
sub copy_of {
    my ($who) = @_;
    my $other = $who->fresh;
    $other->cookies->put($name, $who->cookies->find($name)->{value});
    return $other;
}
sub is_in { my ($who) = @_; return grep({ $who->get('/app', kind => 'none')->status == 200 } 1 .. 4) == 4 ? 1 : 0 }
sub send_token {
    my ($who, %claims) = @_;
    my $token = $op->logout_token(%claims);
    secret($token);
    return $who->fresh->request('POST', '/backchannel', kind => 'none', body => form_encode([['logout_token', $token]]),
        headers => { 'Content-Type' => 'application/x-www-form-urlencoded' })->status;
}

# ---- by the user, by sid, by sub ----

{
    my ($ngx, undef, $who) = start('');
    my ($ann, $ann2, $bob, $carl) = (visitor($who, sub => 'ann', sid => 's1'), visitor($who, sub => 'ann', sid => 's2'), visitor($who, sub => 'bob', sid => 's3'),
        visitor($who, sub => 'carl', sid => 's4'));
    is join('', map { is_in($_) } $ann, $ann2, $bob, $carl), '1111', 'four are in';
    my $copy = copy_of($bob);
    $bob->get('/logout', site => 'same-origin');
    ok !is_in($copy), 'signed out: a copy of the cookie is out, in both workers';
    is send_token($who, sid => 's1'), 200, 'a logout token with a sid';
    is join('', map { is_in($_) } $ann, $ann2, $carl), '011', 'ends that session alone';
    $who->fresh->get('/front?iss=' . escape($op->issuer) . '&sid=s4', kind => 'iframe');
    is join('', map { is_in($_) } $ann2, $carl), '10', 'the front channel too';
    my $ann3 = visitor($who, sub => 'ann', sid => 's5');
    is send_token($who, sub => 'ann'), 200, 'a logout token with a sub';
    is join('', map { is_in($_) } $ann, $ann2, $ann3), '000', 'ends all of that user';
    my $ann4 = visitor($who, sub => 'ann', sid => 's6');
    ok is_in($ann4), 'who may sign in again';
    $ngx->reload;
    is join('', map { is_in($_) } $copy, $ann, $ann2, $ann3, $ann4), '00001', 'a reload changes nothing';
    $ngx->stop;
}

# ---- over a restart ----

{
    my ($ngx, undef, $who) = start('session_revocation zone=left state=%%DIR%%/left.state;');
    chmod 0777, $ngx->dir;
    my ($ann, $bob) = (visitor($who, sub => 'ann', sid => 's1'), visitor($who, sub => 'bob', sid => 's2'));
    my $copy = copy_of($ann);
    $ann->get('/logout', site => 'same-origin');
    $ngx->end_process('QUIT');
    my $file = $ngx->dir . '/left.state';
    ok -s $file, 'what a worker has to write is written before it leaves';
    is sprintf('%o', (stat $file)[2] & 07777), '600', 'for nobody else';
    $ngx->start;
    is join('', map { is_in($_) } $copy, $bob), '01', 'a restart forgets nobody who signed out';
    my $text = OIDC::Nginx::slurp($file);
    $ngx->end_process('QUIT');
    substr($text, 40, 1) ^= "\1";
    $ngx->write_file('left.state', $text);
    $ngx->start;
    like $ngx->error_log, qr/left\.state" is damaged or sealed with another secret: it counts as empty/, 'a damaged file is refused with a warning';
    $ngx->stop;
}

# ---- a full list ----

{
    my ($ngx, undef, $who) = start('session_revocation zone=small;', http => 'keyval_zone zone=small:32k;');
    my ($ann, $bob) = (visitor($who, sub => 'ann', sid => 's1'), visitor($who, sub => 'bob', sid => 's2'));
    my $copy = copy_of($ann);
    $ann->get('/logout', site => 'same-origin');
    send_token($who, sid => "other$_") for 1 .. 700;
    ok !is_in($copy), 'a full list is never a way back in';
    ok !is_in($bob), 'others of that time sign in again';
    ok is_in(visitor($who, sub => 'bob', sid => 's3')), 'which they can';
    like $ngx->error_log, qr/the list of signed-out sessions in zone "small" is full: sessions that are older than its oldest entry sign in again/, 'the log says so';
    $ngx->stop;
}

# ---- on several hosts ----

{
    my $redis = OIDC::Redis->new(certificates => $op->dir, user => 'app', password => 'secret-of-redis');
    my $limit = $ENV{OIDC_VALGRIND} ? '20s' : '500ms';
    my $shared = 'session_revocation ' . quoted('redis://app:secret-of-redis@127.0.0.1:' . $redis->port) . "; store_timeout $limit;";
    my ($here, undef, $who) = start($shared);
    my ($there, undef, $who2) = start($shared);
    my ($ann, $bob) = (visitor($who, sub => 'ann', sid => 's1'), visitor($who, sub => 'bob', sid => 's2'));
    my $copy = copy_of($ann);
    my $elsewhere = $who2->fresh;
    $elsewhere->cookies->put($name, $ann->cookies->find($name)->{value});
    my $bob_there = $who2->fresh;
    $bob_there->cookies->put($name, $bob->cookies->find($name)->{value});
    is join('', map { is_in($_) } $ann, $elsewhere, $bob_there), '111', 'one secret, two hosts';
    $ann->get('/logout', site => 'same-origin');
    is join('', map { is_in($_) } $copy, $elsewhere, $bob, $bob_there), '0011', 'signed out here is signed out there';
    is send_token($who2, sub => 'bob'), 200, 'a logout token there';
    is join('', map { is_in($_) } $bob, $bob_there), '00', 'counts here';
    my @keys = $redis->keys('oidc:r:*');
    is scalar(@keys), 2, 'two entries';
    cmp_ok $redis->command('PTTL', $keys[0]), '>', 0, 'which end';
    unlike "@keys", qr/ann|bob|s1|s2/, 'and tell nobody whose they are';
    my $carl = visitor($who, sub => 'carl', sid => 's3');
    $redis->stop;
    my $answer = $carl->get('/app');
    is $answer->status, 503, 'Redis away: 503, never a login loop';
    ok $answer->header('Retry-After'), 'with Retry-After';
    is $who->fresh->get('/app')->status, 302, 'strangers can sign in';
    is $who->get('/open')->status, 200, 'and public pages go on';
    $_->stop for $here, $there;
}

# ---- mistakes ----

sub block { my ($text, $more) = @_; return ($more // '') . "oidc_provider p { issuer https://p.example; client_id x; session_store cookie; $text }" }
my $values = qr/in "session_revocation", write zone=name, zone=name:size, either with state=file behind it, or redis:\/\/host in oidc_provider "p"/;
like conf_error(block("session_revocation $$_[0];")), qr/invalid value "\Q$$_[1]\E" $values/, "session_revocation $$_[0]"
    for ['left', 'left'], ['zone=', 'zone='], ['zone=a:1k', 'zone=a:1k'], ['zone=a zone=b', 'zone=b'], ['state=x zone=a', 'state=x'], ['zone=a state=', 'state='];
like conf_error(block('session_revocation redis://;')), qr/invalid URL in "session_revocation": /, 'a URL without a host';
like conf_error(block('session_revocation zone=sessions;', 'keyval_zone zone=sessions:1m; oidc_provider q { issuer https://q.example; client_id x; session_store sessions; }')),
    qr/the zone "sessions" of "session_revocation" holds sessions: name another one in oidc_provider "p"/, 'a zone of sessions';
is conf_error(block('session_revocation zone=one;', 'keyval_zone zone=one:64k; oidc_provider q { issuer https://q.example; client_id x; session_store cookie; session_revocation zone=one; }')),
    undef, 'one list for two providers';
my @warnings = conf_warnings(block("cookie_secret \"$secret\";"));
is scalar(@warnings), 1, 'without the directive: one warning';
like $warnings[0], qr/a restart forgets who signed out of a session in a cookie: write "session_revocation zone=p_signed_out state=FILE;" or "session_revocation redis:\/\/\.\.\.;" in oidc_provider "p"/, 'that says what to write';
is scalar(@warnings = conf_warnings(block("cookie_secret \"$secret\"; session_revocation zone=left state=/tmp/left.state;"))), 0, 'with it: none';
like join("\n", conf_warnings(block(''))), qr/sessions in cookies are lost when nginx restarts, and other hosts cannot read them: write "cookie_secret"/, 'without a cookie_secret';

done_testing;
