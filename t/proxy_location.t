# proxy_location: every call to the provider goes through a location of the site, nobody else gets through it, and what is wrong there is said.

use strict;
use warnings;

use FindBin;
use lib "$FindBin::Bin/lib";

use OIDC::Test;

my $location = '/_oidc_idp';
my $proxy = 'proxy_pass $oidc_idp_request_uri; proxy_set_header X-Way "$uri $request_method"; proxy_ssl_name localhost; '
    . 'proxy_ssl_verify on; proxy_ssl_trusted_certificate %%CA%%;';

sub other {
    my ($op, $name, $more) = @_;
    return provider_conf($op, name => $name, provider => "redirect_uri /${name}_callback; login_uri /${name}_login; cookie_name \U$name\E; $more");
}

my $op = OIDC::Provider->new;
my $ca = $op->ca;
$proxy =~ s/%%CA%%/$ca/;
my @others = qw(small gone slow wait);
my ($ngx, undef, $browser) = site(
    op => $op, nginx => { workers => 2 },
    provider => "proxy_location $location; userinfo on; logout_uri /logout; revoke_on_logout on; read_timeout 20s;",
    http => other($op, wait => "proxy_location $location;") . other($op, small => 'proxy_location /_small;') . other($op, gone => 'proxy_location /_gone;') . other($op, slow => "proxy_location /_slow; read_timeout 1s; connect_timeout 1s;"),
    server => <<"END" . join('', map { "location /$_ { auth_oidc $_; try_files /none \@in; }\n" } @others),
        auth_oidc_set_header Authorization "Bearer \$oidc_access_token";
        location = $location { auth_oidc off; $proxy subrequest_output_buffer_size 64k; proxy_buffer_size 32k; proxy_buffers 8 32k; client_max_body_size 0; }
        location = /_small { $proxy subrequest_output_buffer_size 200; }
        location = /_gone { proxy_pass http://127.0.0.1:%%PORT_nobody%%; }
        location = /_slow { $proxy }
        location \@in { return 200 "in\\n"; }
        location /api { auth_oidc my_idp; auth_oidc_bearer only; try_files /none \@in; }
        location /sneaky { auth_oidc off; try_files /none $location; }
END
    location => 'add_header X-Token $oidc_access_token always;',
);

sub ways { my ($endpoint) = @_; return join ' | ', map { $_->{headers}{'x-way'} // 'direct' } $op->journal($endpoint) }

is $browser->login('/app', headers => { 'X-Secret' => 'mine' })->status, 200, 'signed in through the location';
is ways($_->[0]), "$location $_->[1]", "$_->[0] went through it" for ['discovery', 'GET'], ['jwks', 'GET'], ['token', 'POST'], ['userinfo', 'GET'];
is_deeply [$op->refused], [], 'the provider found nothing wrong';
is_deeply [grep { $_->{headers}{cookie} || $_->{headers}{'x-secret'} || $_->{headers}{'sec-fetch-mode'} } $op->journal('token')], [],
    'nothing of the client goes along';

$op->forget;
my $who = $browser->fresh;
$op->configure(expires_in => 10);
$who->login('/app', until => 'callback');
$op->configure(expires_in => 3600);
is $who->get('/app')->status, 200, 'a session that needs a refresh';
is ways('refresh'), "$location POST", 'refreshed through the location';
$who->get('/logout');
ok OIDC::Nginx::wait_until(sub { $op->count('revoke') == 2 }), 'the tokens are revoked';
is ways('revoke'), "$location POST | $location POST", 'through it too';

# ---- access tokens that have to be asked about ----
{
    $op->forget;
    my $api = sub { $browser->fresh->get('/api', kind => 'fetch', headers => { Authorization => 'Bearer an-opaque-token-' . $_[0] }) };
    my %active = (active => JSON::PP::true, iss => $op->issuer, sub => 'alice', aud => $op->client_id, exp => time + 600);
    is $op->with(introspect => { set => \%active }, sub { $api->('one') })->status, 200, 'an opaque token that the provider knows';
    is ways('introspect'), "$location POST", 'is asked about through the location';
    is $op->with(introspect => { set => { active => JSON::PP::false } }, sub { $api->('two') })->status, 401, 'one that it does not know is refused';
    is_deeply [$op->refused], [], 'the provider found nothing wrong';
}

# ---- strangers ----

$op->forget;
for my $target ($location, "$location?x", "$location?https://example.com/", "/.$location") {
    is $browser->fresh->get($target)->status, 404, "a client that asks for $target gets an error";
}
is $browser->fresh->post($location, 'a=b')->status, 404, 'by POST too';
cmp_ok $browser->fresh->get('/sneaky')->status, '>=', 400, 'and so does a redirect inside of the site';
is scalar(my @seen = $op->journal), 0, 'nothing of that went anywhere';

# ---- one call for all who wait, and whoever leaves ----

$op->hold('discovery');
my @waiting = map { $browser->fresh->send('GET', '/wait') } 1 .. 12;
$op->wait_held('discovery');
$_->close for @waiting[0 .. 3];
$op->release('discovery');
is $_->response->status, 302, 'those who waited go on' for @waiting[4 .. 11];
is $op->count('discovery'), 1, 'one call for all, though some left';

my $left = $browser->fresh;
my $back = $left->approve($left->begin('/app'));
$op->hold('token');
my $pending = $left->send('GET', $left->callback_of($back));
$op->wait_held('token');
$pending->close;
$op->release('token');
is $browser->login('/app')->status, 200, 'a client that leaves in the middle disturbs nobody';

# ---- what is wrong is said ----

$ngx->allow(qr/auth_oidc/);
is $browser->fresh->begin('/small')->status, 503, 'a buffer too small for the answer: no login';
ok $ngx->wait_log(qr/does not fit into the location "\/_small": its subrequest_output_buffer_size is 200 bytes and the answer has \d+, write a larger/),
    'and the log names what to enlarge';
is $browser->fresh->begin('/gone')->status, 503, 'nobody behind the location';
ok $ngx->wait_log(qr/the location "\/_gone" itself answered 502, its own log lines say why/), 'is said as well';

my $slow = $browser->fresh;
my $answer = $slow->approve($slow->begin('/slow'));
$op->hold('token');
my $call = $slow->open_callback($answer->location);
is $call->status, 504, 'no answer in time';
ok $ngx->wait_log(qr/timed out: no complete answer from the location "\/_slow" within 2000 ms/), 'and that is what the log says';
$op->release('token');

$op->with(token => { status => 400, body => '{"error":"invalid_grant"}', type => 'application/json' }, sub {
    my $who = $browser->fresh;
    isnt $who->login('/app', until => 'callback')->status, 302, "the provider's own error";
});
ok $ngx->wait_log(qr/invalid_grant/), 'is read as such';

# ---- nginx -t ----

sub conf {
    my ($provider, $server) = @_;
    return 'oidc_provider p { issuer https://idp.example.com; client_id x; client_secret y; ' . $provider
        . " } server { listen 127.0.0.1:%%PORT_conf%%; server_name localhost; location / { auth_oidc p; root html; } $server }";
}
my $pass = 'location = /_idp { proxy_pass $oidc_idp_request_uri; }';
like join('', conf_warnings(conf('proxy_location /_idp;', $pass))), qr/the location of "proxy_location \/_idp" has no "resolver".* in .*:1/, 'no resolver';
is_deeply [conf_warnings(conf('proxy_location /_idp;', "resolver 127.0.0.1; $pass"))], [], 'a resolver';
like join('', conf_warnings(conf('proxy_location /_idp;', 'location /_other { root html; }'))), qr/no server that uses oidc_provider "p" has a location for "proxy_location \/_idp"/, 'no location';
is_deeply [conf_warnings(conf('proxy_location /_idp;', 'location ~ ^/_ { resolver 127.0.0.1; proxy_pass $oidc_idp_request_uri; }'))], [], 'a regex location may be it';
like conf_error(conf('proxy_location idp;', '')), qr/invalid value "idp" in "proxy_location", write a path that begins with "\/" in oidc_provider "p"/, 'no path';
like conf_error(conf('proxy_location /oidc_callback;', '')), qr/the path "\/oidc_callback" is used for two purposes/, 'a path of ours';

done_testing;
