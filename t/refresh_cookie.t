# session_refresh with session_store cookie: off by default; switched on, those who still come with the old cookie get what
# the refresh has made of it.

use strict;
use warnings;

use FindBin;
use lib "$FindBin::Bin/lib";

use OIDC::Test;

my $name = 'NGX_OIDC_SESSION';
my $op = OIDC::Provider->new;
my $conf = 'session_store cookie; cookie_secret "a cookie secret of more than thirty-two bytes"; logout_uri /logout;';
my $location = 'add_header X-Token $oidc_access_token always;';
sub start {
    my ($more) = @_;
    return site(op => $op, nginx => { workers => 2 }, provider => "$conf $more", location => $location);
}
sub visitor {
    my ($who, $seconds) = @_;
    my $one = $who->fresh;
    $op->configure(expires_in => $seconds);
    $one->login('/app', until => 'callback');
    $op->configure(expires_in => 3600);
    $op->forget;
    return $one;
}
sub cookie_of { return $_[0]->cookies->find($name)->{value} }
sub bearer { my ($who, $value) = @_; my $other = $who->fresh; $other->cookies->put($name, $value); return $other }

{
    my ($ngx, undef, $who) = start('');
    my $one = visitor($who, 0);
    is $one->get('/app')->status, 200, 'by default';
    is $op->count('refresh'), 0, 'nothing is refreshed';
    $ngx->stop;
}

my ($ngx, undef, $who) = start('session_refresh on;');

{
    my $one = visitor($who, 0);
    my $old = cookie_of($one);
    my @answers = map { $_->response } map { $one->send('GET', "/app$_") } 1 .. 20;
    is scalar(grep { $_->status == 200 } @answers), 20, '20 at once: all are answered';
    is $op->count('refresh'), 1, 'by one refresh';
    my %tokens = map { ($_->header('X-Token') => 1) } @answers;
    is scalar(keys %tokens), 1, 'all with its token';
    my ($new) = map { $_->cookie($name)->{value} } grep { $_->cookie($name) } @answers;
    isnt $new, $old, 'the browser gets a new cookie';
    is $answers[0]->header('Cache-Control'), 'private, no-store', 'that no cache keeps';
    my $late = bearer($who, $old);
    my $answer = $late->get('/app');
    is $answer->status, 200, 'a straggler with the old one';
    is $answer->header('X-Token'), (keys %tokens)[0], 'has the new token';
    is $answer->cookie($name)->{value}, $new, 'and gets the same new cookie';
    is $op->count('refresh'), 1, 'without another refresh';
    $answer = bearer($who, $new)->get('/app');
    ok !$answer->cookie($name), 'who has the new cookie gets none';
    $one->cookies->put($name, $new);
    $one->get('/logout', site => 'same-origin');
    is scalar(grep { bearer($who, $_)->get('/app', kind => 'none')->status == 200 } $old, $new), 0, 'signed out: both cookies are';
}
{
    my $one = visitor($who, 0);
    my $old = cookie_of($one);
    $op->with(refresh => { status => 400, json => { error => '"invalid_grant"' } }, sub { isnt $one->get('/app', kind => 'none')->status, 200, 'a refused refresh ends the session' });
    isnt bearer($who, $old)->get('/app', kind => 'none')->status, 200, 'for good';
}
{
    my $one = visitor($who, 0);
    my $old = cookie_of($one);
    $op->hold('refresh');
    my $waiting = $one->send('GET', '/app');
    $op->wait_held('refresh');
    bearer($who, $old)->get('/logout', site => 'same-origin');
    $op->release('refresh');
    my $answer = $waiting->response;
    isnt $answer->status, 200, 'signed out while it was refreshed: it stays so';
    ok !$answer->cookie($name), 'and there is no new cookie';
}

done_testing;
