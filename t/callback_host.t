# One callback host for several subdomains of a cookie_domain: the login goes there first, its ticket is host-only
# there, and the session counts at all of them. Without a domain that covers both the callback is refused.

use strict;
use warnings;

use FindBin;
use lib "$FindBin::Bin/lib";

use OIDC::Test;

my $op = OIDC::Provider->new(tls => 0);

# auth.house.test answers the provider; app.house.test and shop.house.test are protected.
sub house {
    my ($provider, %option) = @_;
    my $ngx = OIDC::Nginx->new;
    my $port = $ngx->port('site');
    my $host = sub { return "http://$_[0]:$port" };
    my $servers = join "\n", map { "server { listen 127.0.0.1:$port; server_name $_; add_header X-Sub \$oidc_claim_sub always;
        location / { auth_oidc my_idp; " . ($option{location} // '') . ' proxy_pass http://127.0.0.1:%%PORT_app%%; } }' } qw(auth.house.test app.house.test shop.house.test other.test);
    my $block = sub { return provider_conf($op, provider => 'redirect_uri ' . $host->('auth.house.test') . "/oidc_callback; logout_uri /logout; login_args ui_locales; $_[0]") };
    $ngx->configure(http => $block->($provider) . app_conf() . $servers)->start;
    my $browser = OIDC::Browser->new(base => $host->('app.house.test'), map => { map { $host->($_) => $host->('localhost') } qw(auth.house.test app.house.test shop.house.test other.test) });
    return ($ngx, $browser, $host);
}

my ($ngx, $browser, $host) = house('cookie_domain house.test;');
my ($auth, $app, $shop) = map { $host->("$_.house.test") } qw(auth app shop);

# ---- the way ----

my $target = '/a%20b//c?d=e&f=%2F';
my $begun = $browser->get("$app$target");
is $begun->status, 302, 'a stranger at another host';
like $begun->location, qr{^\Q$auth\E/oidc_login\?}, 'is sent to login_uri of the callback host';
unlike $begun->location, qr/house\.test.*(?:app\.house|a%20b|a%2520b)/, 'origin and target are sealed';
is scalar($begun->set_cookies), 0, 'and leaves no ticket at the first host';
my $there = $browser->get($begun->location, site => 'same-site');
is $there->status, 302, 'the callback host';
like $there->location, qr/^\Q@{[$op->issuer]}\E/, 'sends it to the provider';
my ($ticket) = $there->set_cookies;
like $ticket->{name}, qr/^NGX_OIDC_LOGIN_/, 'with a ticket';
is $ticket->{domain}, undef, 'that is host-only';
my $back = $browser->approve($there);
like $back->location, qr{^\Q$auth\E/oidc_callback\?}, 'the callback is there';
my $done = $browser->open_callback($back->location);
is $done->location, "$app$target", 'and goes back to the first host, byte for byte';
my ($cookie) = grep { $_->{name} eq 'NGX_OIDC_SESSION' } $done->set_cookies;
is $cookie->{domain}, 'house.test', 'the session cookie has the domain';
is $browser->get("$app/x")->status, 200, 'signed in at the first host';
is $browser->get("$shop/x")->status, 200, 'and at a third';
is $browser->get("$auth/x")->status, 200, 'and at the callback host';

is $browser->open_callback($back->location)->location, "$app$target", 'the same callback again goes on to the target';
$browser->get("$shop/logout", headers => { Referer => "$shop/x" });
is $browser->get("$app/x", kind => 'fetch')->status, 401, 'signed out at one host is signed out at all';

# ---- from login_uri, and from the callback host itself ----

my $who = $browser->fresh;
my $hop = $who->get("$shop/oidc_login?return_to=/z&ui_locales=de&evil=1");
like $hop->location, qr{^\Q$auth\E/oidc_login\?}, 'login_uri elsewhere goes there too';
my $sent = $who->get($hop->location, site => 'same-site');
like $sent->location, qr/[?&]ui_locales=de(?:&|$)/, 'with what login_args lets through';
unlike $sent->location, qr/evil/, 'and nothing else';
is $who->open_callback($who->approve($sent)->location)->location, "$shop/z", 'and back';
$who = $browser->fresh;
my $own = $who->get("$auth/page");
like $own->location, qr/^\Q@{[$op->issuer]}\E/, 'at the callback host itself there is no detour';
is $who->open_callback($who->approve($own)->location)->location, "$auth/page", 'and back';

# ---- who meddles ----

my ($sealed) = $begun->location =~ /begun_at=([\w-]+)/;
for my $case (['one letter changed', substr($sealed, 0, 60) . (substr($sealed, 60, 1) eq 'A' ? 'B' : 'A') . substr($sealed, 61)], ['cut', substr($sealed, 0, -4)], ['empty', ''], ['a URL', escape('http://evil.test/')]) {
    my ($name, $value) = @$case;
    my $answer = $browser->fresh->get("$auth/oidc_login?provider=my_idp&begun_at=$value");
    is $answer->status, 400, "begun_at, $name: refused";
    unlike $answer->body, qr/evil\.test/, "begun_at, $name: no link to elsewhere";
}

# ---- errors and other hosts ----

$who = $browser->fresh;
my $refused = do { my $hop = $who->get("$app/page"); my $at = $who->get($hop->location, site => 'same-site'); $op->with(callback => { code => undef, error => 'access_denied' }, sub { $who->open_callback($who->approve($at)->location) }) };
is $refused->status, 403, 'the user said no';
like $refused->body, qr{href="\Q$app\E/oidc_login}, 'the page leads back to where it began';

my $outside = $browser->fresh;
my $from = $outside->get($host->('other.test') . '/x');
like $from->location, qr/^\Q@{[$op->issuer]}\E/, 'a host outside of the domain has no detour';
is $outside->open_callback($outside->approve($from)->location)->status, 400, 'and its callback is refused';
$ngx->stop;

($ngx, $browser, $host) = house('');
$from = $browser->get($host->('app.house.test') . '/x');
like $from->location, qr/^\Q@{[$op->issuer]}\E/, 'without cookie_domain there is no detour';
is $browser->open_callback($browser->approve($from)->location)->status, 400, 'and the callback is refused';
$ngx->stop;

done_testing;
