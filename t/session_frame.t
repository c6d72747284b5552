# The frame of Session Management 1.0 on our side (session_uri?frame): when there is one, what is in it, and who may end a session through it.

use strict;
use warnings;

use FindBin;
use lib "$FindBin::Bin/lib";

use OIDC::Test;

my $op = OIDC::Provider->new(check_session => 1);
my $plain = OIDC::Provider->new;
my $uris = 'redirect_uri /plain_callback; login_uri /plain_login; session_uri /plain_session; cookie_name PLAIN;';
my ($ngx, undef, $browser) = site(
    op => $op, location => 'add_header X-Token $oidc_access_token always;', provider => 'session_uri /session;', http => provider_conf($plain, name => 'plain', provider => $uris) . $plain->tls_front,
    server => 'location /plain { auth_oidc plain; try_files /none @in; } location @in { return 200 "in\n"; }',
);
my $idp = $op->origin;

is $browser->get('/session?frame', kind => 'iframe')->status, 204, 'a stranger: nothing to watch';
my $who = $browser->fresh(map => { map { $_->origin => $_->plain_origin } $plain });
$who->login('/plain');
is $who->get('/plain_session?frame', kind => 'iframe')->status, 204, 'a provider without such a frame: nothing either';

$browser->login('/app');
my $page = $browser->get('/session?frame', kind => 'iframe');
is $page->status, 200, 'a session at a provider with one';
like $page->header('Content-Type'), qr{^text/html}, 'a page';
like $page->body, qr{<iframe hidden id="provider" src="\Q$idp\E/check_session"></iframe>}, "the provider's frame";
like $page->body, qr{<script src="\?frame\.js" data-client="web-app:1" data-state="hash\.salt" data-origin="\Q$idp\E"></script>}, 'what its script needs';
is $page->header('Content-Security-Policy'),
    "default-src 'none'; script-src 'self'; connect-src 'self'; frame-src $idp; base-uri 'none'; form-action 'none'; frame-ancestors 'self'", 'a strict policy';
is $page->header('Cache-Control'), 'no-store', 'not kept';
unlike $page->body, qr/<script>|\bon\w+=/, 'no inline script';
my $script = $browser->get('/session?frame.js', kind => 'none');
like $script->header('Content-Type'), qr{^text/javascript}, 'the script is a file of ours';
like $script->body, qr/message\.origin !== origin/, 'which listens to the provider alone';

$op->forget;
my $info = $browser->get('/session')->json;
ok $info->{is_logged_in}, 'session_uri itself is what it was';
ok !grep({ /session_state|hash\.salt/ } %{ $info->{user} }), 'and does not show what the frame knows';
for my $case (['another site', { 'Sec-Fetch-Site' => 'cross-site' }], ['a sibling', { 'Sec-Fetch-Site' => 'same-site' }], ['another origin', { Origin => 'https://evil.example' }], ['nobody', {}]) {
    is $browser->request('POST', '/session?frame', kind => 'none', body => '', headers => $case->[1])->status, 403, "$case->[0] ends no session";
}
ok has_session(), 'still signed in';
is $browser->request($_, '/session?frame', kind => 'none')->status, 405, "$_: 405" for qw(PUT DELETE);
is $browser->request('POST', '/session', kind => 'none', body => '')->status, 405, 'POST without ?frame: 405';

my $ended = $browser->request('POST', '/session?frame', kind => 'none', body => '', headers => { 'Sec-Fetch-Site' => 'same-origin' });
is $ended->status, 204, 'our own script ends it';
is $ended->cookie('NGX_OIDC_SESSION')->{max_age}, 0, 'the cookie goes';
is get('/app')->status, 302, 'signed out';
is scalar(my @asked = $op->journal('end_session')), 0, 'and the provider was not asked for anything';

for my $text ('', 'a b', "x\t", 'y' x 300) {
    my $who = $browser->fresh;
    $op->with(callback => { session_state => $text }, sub { $who->login('/app') });
    is $who->get('/session?frame')->status, 204, 'a session_state of no use: no frame';
}
{
    my $who = $browser->fresh;
    $op->with(callback => { session_state => q{"'<&>} }, sub { $who->login('/app') });
    like $who->get('/session?frame')->body, qr/data-state="&quot;&#39;&lt;&amp;&gt;"/, 'a strange one is escaped';
    $op->configure(expires_in => 10);
    $who = $browser->fresh;
    $who->login('/app', until => 'callback');
    $op->configure(expires_in => 3600);
    $op->forget;
    $who->get('/app');
    is $op->count('refresh'), 1, 'a refreshed session';
    like $who->get('/session?frame')->body, qr/hash\.salt/, 'keeps it';
}

done_testing;
