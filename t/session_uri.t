# session_uri: "who am I" for scripts, and the variables that look into claims.

use strict;
use warnings;

use FindBin;
use lib "$FindBin::Bin/lib";

use JSON::PP;
use OIDC::Test;

my ($ngx, $op, $browser) = site(
    http => 'auth_oidc_claim_set $country address country; auth_oidc_claim_set $dotted a.b; auth_oidc_claim_set $list groups;
        log_format who "who=[$remote_user]";',
    provider => 'session_uri /whoami; logout_uri /logout;',
    server => <<'END');
        access_log %%DIR%%/who.log who;
        auth_oidc_remote_user $oidc_claim_email;
        location /public { add_header X-Country "[$country]" always; return 200 "open\n"; }
        location /claims { auth_oidc my_idp; add_header X-Country $country; add_header X-Dotted $dotted; add_header X-List $list; root %%DIR%%; }
END
$ngx->write_file('claims', "claims\n");

my $stranger = $browser->get('/whoami');
is $stranger->status, 200, 'a stranger: 200';
like $stranger->header('Content-Type'), qr{^application/json}, 'JSON';
is $stranger->header('Cache-Control'), 'no-store', 'no-store';
is_deeply decode_json($stranger->body),
    { is_logged_in => JSON::PP::false, provider => undef, expires => undef, login_url => '/oidc_login?provider=my_idp', logout_url => '/logout', user => undef },
    'nobody';
is $browser->post('/whoami', '')->status, 405, 'POST';

my %claims = (email => 'zoe@example.com', name => "Zo\x{e9} \"Z\"", address => { country => 'NL' }, 'a.b' => 1, groups => ['x', 'y'], nobody => undef, yes => JSON::PP::true);
$op->with(claims => \%claims, sub { $browser->login('/app') });
my $who = decode_json($browser->get('/whoami')->body);
ok $who->{is_logged_in}, 'somebody';
is $who->{provider}, 'my_idp', 'the provider';
cmp_ok $who->{expires}, '>', time, 'the end lies ahead';
is_deeply { map { $_ => $who->{user}{$_} } keys %claims }, \%claims, 'the claims as they came';
ok !exists $who->{user}{$_}, "no $_" for qw(access_token id_token refresh_token);

my $answer = $browser->get('/claims');
is $answer->header('X-Country'), 'NL', 'auth_oidc_claim_set: a claim inside of another';
is $answer->header('X-Dotted'), '1', 'a name with a dot';
is $answer->header('X-List'), 'x,y', 'an array';
is $browser->get('/public')->header('X-Country'), '[]', 'nothing where nobody is asked to sign in';
like OIDC::Nginx::slurp($ngx->dir . '/who.log'), qr/who=\[zoe\@example\.com\]/, 'auth_oidc_remote_user fills $remote_user';
like OIDC::Nginx::slurp($ngx->dir . '/who.log'), qr/who=\[-\]/, 'and leaves it alone for strangers';
like conf_error('auth_oidc_claim_set country address;'), qr/invalid variable name "country" in "auth_oidc_claim_set", write \$name claim/, 'no variable';

done_testing;
