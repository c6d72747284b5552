# auth_oidc_require, auth_oidc_max_age: who is let in, and that a refusal is 403 and never another login round.

use strict;
use warnings;

use FindBin;
use lib "$FindBin::Bin/lib";

use File::Temp qw(tempdir);
use JSON::PP;
use OIDC::Test;

my $lists = tempdir(CLEANUP => 1);
open my $staff, '>', "$lists/staff.txt" or die;
print $staff "\n zoe\@example.com \nann\@example.com\r\n";
close $staff;
chmod 0755, $lists;

my %rules = (
    equal => 'role admin', either => 'role admin editor', array => 'groups staff', regex => 'name ~^A', caseless => 'name ~*^a',
    nested => 'address.country NL', dotted => 'https://x\.example/role boss', number => 'level 7', boolean => 'vip true',
    or => 'role admin | groups staff', file => "email file:$lists/staff.txt", hidden => 'role admin error=404', address => 'email ~@example\.com$',
);
my $locations = join '', map { "location /$_ { auth_oidc my_idp; auth_oidc_require $rules{$_}; root %%DIR%%; }\n" } sort keys %rules;
my ($ngx, $op, $browser) = site(
    provider => 'logout_uri /logout;',
    server => $locations . <<'END');
        location /both { auth_oidc my_idp; auth_oidc_require role admin; auth_oidc_require groups staff; root %%DIR%%;
            location /both/inner { auth_oidc_require role editor; root %%DIR%%; }
            location /both/kept { root %%DIR%%; } }
        location /allow { auth_oidc my_idp; auth_oidc_anonymous allow; auth_oidc_require role admin; root %%DIR%%; }
        location /acr { auth_oidc my_idp; auth_oidc_require acr gold; root %%DIR%%; }
        location /fresh { auth_oidc my_idp; auth_oidc_max_age 5m; root %%DIR%%; }
        location /never { auth_oidc my_idp; auth_oidc_require role nobody; root %%DIR%%; }
END
mkdir $ngx->dir . '/both';
$ngx->write_file($_, "$_\n") for keys %rules, qw(both/inner both/kept allow acr fresh never);
$ngx->write_file('both/index.html', "both\n");

sub visitor { my (%claims) = @_; my $who = $browser->fresh; $op->with(claims => \%claims, sub { $who->login('/app') }); return $who }

# claims, and where they open
my @table = (
    [{ role => 'admin' }, qw(equal either or)], [{ role => 'editor' }, qw(either)], [{ role => 'Admin' }], [{ role => 'administrator' }],
    [{ role => ['admin', 'x'] }, qw(equal either or)], [{ role => 'admin,x' }], [{ role => '' }], [{ role => undef }], [{ role => {} }],
    [{ groups => ['x', 'staff'] }, qw(array or)], [{ groups => 'staff' }, qw(array or)], [{ groups => ['staff,x'] }], [{ groups => [['staff']] }],
    [{ groups => [] }], [{ name => 'Ann' }, qw(regex caseless)], [{ name => 'ann' }, qw(caseless)], [{ name => 'Bob' }], [{ name => ['Bob', 'Ann'] }, qw(regex caseless)],
    [{ address => { country => 'NL' } }, qw(nested)], [{ address => { country => 'DE' } }], [{ address => 'NL' }], [{ 'address.country' => 'NL' }],
    [{ 'https://x.example/role' => 'boss' }, qw(dotted)], [{ level => 7 }, qw(number)], [{ level => 77 }], [{ level => '7' }, qw(number)],
    [{ vip => JSON::PP::true }, qw(boolean)], [{ vip => JSON::PP::false }], [{ vip => 'true' }, qw(boolean)],
    [{ email => 'zoe@example.com' }, qw(file address)], [{ email => 'zoe@example.com', email_verified => JSON::PP::true }, qw(file address)],
    [{ email => 'zoe@example.com', email_verified => JSON::PP::false }], [{ email => 'zoe@example.com', email_verified => 'false' }],
    [{ email => 'bob@example.com' }, qw(address)], [{ email => 'zoe@example.com.evil.example' }],
);
for my $case (@table) {
    my ($claims, @open) = @$case;
    my $who = visitor(email => undef, name => undef, role => undef, groups => undef, %$claims);
    my %open = map { $_ => 1 } @open;
    my $name = JSON::PP->new->canonical->encode($claims);
    is_deeply [grep { $who->get("/$_")->status == 200 } sort keys %rules], [sort @open, $open{equal} ? 'hidden' : ()], $name;
}

my $admin = visitor(role => 'admin', groups => ['x']);
is $admin->get('/both/')->status, 403, 'several directives must all hold';
is $admin->get('/both/kept')->status, 403, 'also where they are inherited';
is visitor(role => 'admin', groups => ['staff'])->get('/both/kept')->status, 200, 'and do';
is visitor(role => 'editor')->get('/both/inner')->status, 200, 'a location of its own replaces what it would inherit';
is $browser->fresh->begin('/allow')->status, 302, 'anonymous allow: a stranger is sent to sign in all the same';
is visitor(role => 'x')->get('/allow')->status, 403, 'somebody who does not match gets 403';
{
    my $answer = visitor(role => 'x')->get('/hidden');
    is $answer->status, 404, 'error=404';
    is $answer->header('Cache-Control'), 'no-store', 'which no cache may keep for others';
}

my $user = visitor(role => 'x', email => 'user@example.com');
my $page = $user->get('/never');
is $page->status, 403, 'a refusal: 403';
like $page->body, qr/user\@example\.com/, 'the page names the account';
like $page->body, qr/prompt=select_account/, 'and offers another one';
my ($link) = map { OIDC::Browser::html_unescape($_) } $page->body =~ /href="([^"]*select_account)"/;
is $user->get($link)->query->{prompt}, 'select_account', 'which asks the provider so';
my $json = $user->get('/never', kind => 'fetch');
is $json->status, 403, 'a program: 403';
is decode_json($json->body)->{error}, 'access_denied', 'in JSON';
ok $ngx->log_like(qr/access refused.*role: expected "nobody"|access failed.*role: expected "nobody"/), 'the log names the rule';

# step-up
my $low = visitor(acr => 'silver');
my $begun = $low->get('/acr');
is $begun->status, 302, 'acr: one new login';
is $begun->query->{acr_values}, 'gold', 'asks for it';
my $told = $low->get('/acr', kind => 'fetch');
is $told->status, 401, 'a program: 401';
like $told->header('WWW-Authenticate'), qr/error="insufficient_user_authentication".*acr_values="gold"/, 'RFC 9470';
$op->with(claims => { acr => 'silver' }, sub { is $low->login('/acr')->status, 403, 'and then 403, never a loop' });
ok has_session($low), 'the session from before lives on';
my $high = visitor(acr => 'silver');
$op->with(claims => { acr => 'gold' }, sub { $high->login('/acr') });
is $high->get('/acr')->status, 200, 'or in';

my $old = visitor(auth_time => time - 3600);
my $again = $old->get('/fresh');
is $again->status, 302, 'auth_oidc_max_age: a sign-in of an hour ago is sent again';
is $again->query->{max_age}, 300, 'with max_age';
$op->with(claims => { auth_time => time }, sub { $old->login('/fresh') });
is $old->get('/fresh')->status, 200, 'a fresh one is let in';

like conf_error("server { auth_oidc_require $$_[0]; }"), $$_[1], "auth_oidc_require $$_[0]" for
    ['role', qr/invalid number of arguments in "auth_oidc_require"/], ['role | admin', qr/"auth_oidc_require": /], ['role ~(', qr/"auth_oidc_require": /],
    ['role admin error=200', qr/"auth_oidc_require": invalid status "200", it must be one of 400 to 599/], ['a..b x', qr/invalid claim "a\.\.b"/],
    ['role file:/nowhere', qr/cannot read "\/nowhere" of "auth_oidc_require"/];

done_testing;
