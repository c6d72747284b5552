# conf-examples: groups, per-path-rules, step-up and spa-with-api do what their comments say. Only addresses and the client change.

use strict;
use warnings;

use FindBin;
use lib "$FindBin::Bin/lib";

use JSON::PP ();
use OIDC::Echo;
use OIDC::Example qw(example);
use OIDC::Test;

my $ngx = OIDC::Nginx->new;
my $echo = OIDC::Echo->start($ngx->port('echo'));  # before the provider, whose end it would keep open
my $op = OIDC::Provider->new(tls => 0);
my $base = 'http://localhost:' . $ngx->port('site');
mkdir $ngx->dir . '/app';
$ngx->write_file('app/index.html', "the app\n");

sub load {
    my ($name, %more) = @_;
    my $text = example($name, issuer => $op->issuer, client_id => quoted($op->client_id), client_secret => quoted($op->client_secret),
        listen => '127.0.0.1:%%PORT_site%%', server_name => 'localhost', proxy_pass => 'http://127.0.0.1:%%PORT_echo%%', %more);
    $ngx->configure(http => $text =~ /^http \{\n(.*)^\}/ms ? $1 : die "no http block\n");
    ok $ngx->master_pid ? $ngx->reload : $ngx->start, "$name: nginx takes it";
}

sub stranger { return OIDC::Browser->new(base => $base) }
sub visitor { my (%claims) = @_; my $who = stranger(); $op->with(claims => { groups => undef, %claims }, sub { $who->login('/') }); return $who }
sub statuses { my ($who, @paths) = @_; return join ' ', map { $who->get($_)->status } @paths }

# ---- groups ----

load('groups');
my @paths = qw(/ /team/ /admin/ /partners/ /payroll/);
is statuses(stranger(), @paths), '302 302 302 302 302', 'groups: strangers sign in';
is statuses(visitor(groups => []), @paths), '200 403 403 403 404', 'groups: no group';
is statuses(visitor(groups => ['staff']), @paths), '200 200 403 403 404', 'groups: staff';
is statuses(visitor(groups => ['admins'], email_verified => JSON::PP::true), @paths), '200 200 200 403 404', 'groups: admins';
is statuses(visitor(groups => ['admins'], email_verified => JSON::PP::false), @paths), '200 200 403 403 404', 'groups: admins without an address';
is statuses(visitor(email => 'x@partner.example'), @paths), '200 403 403 200 404', 'groups: a partner by the address';
is statuses(visitor(groups => ['payroll', 'partners']), @paths), '200 403 403 200 200', 'groups: two groups';
like visitor(groups => ['a', 'b'])->get('/')->body, qr/^X-Groups: a,b\r$/m, 'groups: the application is told';
like visitor(email => 'who@example.com')->get('/team/')->body, qr/who\@example\.com.*prompt=select_account/s, 'groups: the page names the account and offers another';

# ---- per-path-rules ----

load('per-path-rules');
is statuses(stranger(), qw(/ /public/ /wiki/ /api/ /metrics /poll)), '302 200 200 401 200 302', 'per-path-rules: strangers';
is stranger()->post('/wiki/', { a => 1 })->status, 401, 'per-path-rules: who writes must sign in';
my $in = visitor(sub => 'ann');
is statuses($in, qw(/ /public/ /wiki/ /api/ /metrics /poll)), '200 200 200 200 200 200', 'per-path-rules: signed in';
like $in->get('/wiki/')->body, qr/^X-User: ann\r$/m, 'per-path-rules: who is known is told';
unlike stranger()->get($_, headers => { 'X-User' => 'evil', 'x_user' => 'evil' })->body, qr/evil/, "per-path-rules: nobody names himself at $_" for qw(/public/ /wiki/ /metrics);

# ---- step-up ----

load('step-up');
my $low = visitor(acr => 'pwd');
is $low->get('/')->status, 200, 'step-up: a session';
is $low->begin('/settings/')->query->{acr_values}, 'mfa', 'step-up: more is asked for';
like $low->get('/settings/', kind => 'fetch')->header('WWW-Authenticate'), qr/insufficient_user_authentication.*acr_values="mfa"/, 'step-up: a program is told';
$op->with(claims => { acr => 'pwd' }, sub { is $low->login('/settings/')->status, 403, 'step-up: not given: 403' });
$op->with(claims => { acr => 'mfa' }, sub { is $low->login('/settings/')->status, 200, 'step-up: given' });
my $old = visitor(acr => 'mfa', auth_time => time - 3600);
is $old->get('/settings/')->status, 200, 'step-up: long ago will do here';
is $old->begin('/payments/')->query->{max_age}, 300, 'step-up: and there it is asked again';
$op->with(claims => { acr => 'mfa', auth_time => time }, sub { is $old->login('/payments/')->status, 200, 'step-up: fresh' });

# ---- spa-with-api ----

load('spa-with-api', root => $ngx->dir . '/app');
is stranger()->get('/some/view')->body, "the app\n", 'spa-with-api: the app';
my $fetch = stranger()->get('/api/x', kind => 'fetch');
is $fetch->status, 401, 'spa-with-api: a script is not redirected';
like $fetch->json->{login_url}, qr{^/oidc_login\?provider=my_idp}, 'spa-with-api: and learns where to sign in';
like $fetch->header('WWW-Authenticate'), qr{resource_metadata="https://www\.example\.com/\.well-known/oauth-protected-resource/api/"}, 'spa-with-api: or where to get a token';
is stranger()->get('/.well-known/oauth-protected-resource/api/', kind => 'fetch')->json->{authorization_servers}[0], $op->issuer, 'spa-with-api: from the provider';
is stranger()->request(OPTIONS => '/api/x', kind => 'fetch')->status, 200, 'spa-with-api: a preflight passes';
my $page = stranger();
$op->with(claims => { sub => 'ann' }, sub { $page->login('/api/x') });
like $page->get('/api/x', kind => 'fetch')->body, qr/^X-User: ann\r$/m, 'spa-with-api: the session';
ok $page->get('/me', kind => 'fetch')->json->{is_logged_in}, 'spa-with-api: /me';
is $page->get('/api/admin/x', kind => 'fetch')->status, 401, 'spa-with-api: no session for programs';
my %claims = (iss => $op->issuer, aud => 'https://www.example.com/api/', sub => 'robot', iat => time, exp => time + 600);
my $call = sub { my ($path, %more) = @_; return stranger()->get($path, kind => 'none', headers => { Authorization => 'Bearer ' . $op->sign({ %claims, %more }, header => { typ => 'at+jwt' }) }) };
like $call->('/api/x')->body, qr/^X-User: robot\r$/m, 'spa-with-api: a token';
is $call->('/api/admin/x')->status, 403, 'spa-with-api: without the scope';
is $call->('/api/admin/x', scope => 'admin')->status, 200, 'spa-with-api: with it';

done_testing;
