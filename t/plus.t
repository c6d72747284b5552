# What configurations of NGINX Plus are written with, beside the provider block: auth_require, and the guides' shapes as they are.

use strict;
use warnings;

use FindBin;
use lib "$FindBin::Bin/lib";

use OIDC::Test;

my ($ngx, $op, $browser) = site(
    http => 'map $oidc_claim_role $is_admin { default ""; admin 1; } map $oidc_claim_role $is_zero { default 0; admin 1; }',
    provider => 'login_args prompt ui_locales; revoke_on_logout on; logout_uri /logout; post_logout_uri /bye;',
    server => <<'END');
        location /admin { auth_oidc my_idp; auth_require $is_admin; return 200 "admin\n"; }
        location /file { auth_oidc my_idp; auth_require $is_admin; root %%DIR%%; }
        location /zero { auth_oidc my_idp; auth_require $is_zero error=404; root %%DIR%%; }
        location /two { auth_oidc my_idp; auth_require $oidc_claim_sub; auth_require $is_admin $is_zero error=401; root %%DIR%%; }
        location /alone { auth_require $arg_key error=503; root %%DIR%%; }
        location = /bye { auth_oidc off; return 200 "bye\n"; }
END

$ngx->write_file($_, "$_\n") for qw(file zero two alone);
sub visitor { my ($role) = @_; my $who = $browser->fresh; $op->with(claims => { role => $role }, sub { $who->login('/app') }); return $who }

my ($user, $admin) = (visitor('user'), visitor('admin'));
is $user->get('/file')->status, 403, 'an empty value: 403';
is $admin->get('/file')->status, 200, 'a value: in';
is $user->get('/zero')->status, 404, '"0" is no value, and error= names the status';
is $user->get('/zero')->header('Cache-Control'), 'no-store', 'which no cache may keep for others';
is $admin->get('/zero')->status, 200, 'another is';
is $user->get('/two')->status, 401, 'several lines must all hold';
is $admin->get('/two')->status, 200, 'and do';
is $browser->fresh->begin('/file')->status, 302, 'a stranger is sent to sign in first';
is $browser->fresh->get('/alone')->status, 503, 'without auth_oidc, too';
is $browser->fresh->get('/alone?key=x')->status, 200, 'it looks at any variable';

like conf_error('server { auth_require error=403; }'), qr/"auth_require" needs at least one value to look at/, 'no value';
like conf_error('server { auth_require $a error=200; }'), qr/invalid parameter "error=200" in "auth_require", write error=401, error=403 or another status/, 'error=200';

my $begun = $browser->fresh->begin('/oidc_login?prompt=login&ui_locales=de&scope=all&state=x&acr_values=');
is_deeply { map { $_ => $begun->query->{$_} } qw(prompt ui_locales scope acr_values) },
    { prompt => 'login', ui_locales => 'de', scope => 'openid', acr_values => undef }, 'login_args: these and no others';

my $before = $op->count('revoke');
is $user->get('/logout')->status, 302, 'signed out';
ok OIDC::Nginx::wait_until(sub { $op->count('revoke') > $before }), 'and the tokens are revoked behind the answer';

done_testing;
