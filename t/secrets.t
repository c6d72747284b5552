# oidc_secrets: a Streamlit secrets.toml becomes providers, and what is wrong in it is found by `nginx -t`.

use strict;
use warnings;

use FindBin;
use lib "$FindBin::Bin/lib";

use OIDC::Test;

my $ngx = OIDC::Nginx->new;
my $well_known = '/.well-known/openid-configuration';
my $shared = qq([auth]\nredirect_uri = "https://a.example/oauth2callback"\ncookie_secret = "0123456789abcdef0123456789abcdef"\n);
my $client = qq(client_id = "c"\nclient_secret = "s"\nserver_metadata_url = "https://idp.example$well_known"\n);

sub http { my ($names, $more) = @_; return 'oidc_secrets %%DIR%%/secrets.toml; ' . ($more // '') . " server { listen 127.0.0.1:1; server_name a.example; auth_oidc $names; }" }
sub said {
    my ($file, $names, $more) = @_;
    $ngx->write_file('secrets.toml', $file, 0600);
    my $error = $ngx->conf_error($ngx->expand(http($names // 'default', $more)));
    return defined $error ? $error =~ s{ in \S*secrets\.toml:}{ in secrets.toml:}r : undef;
}
sub warned {
    my ($file) = @_;
    $ngx->write_file('secrets.toml', $file, 0600);
    return join "\n", $ngx->conf_warnings($ngx->expand(http('default')));
}

is said("$shared$client"), undef, 'one provider without a name';
is said("$shared\[auth.house]\n$client", 'house'), undef, 'one with a name';
is said("$shared\[auth.house]\n$client\[auth.guest]\n$client", 'house guest'), undef, 'several';
is said("$shared$client" . 'client_kwargs = { prompt = "login" }'), undef, 'a prompt';
is said("$shared$client", 'default', 'oidc_provider default { session_timeout 8h; display_name House; }'), undef, 'a block beside it';
my $common = 'oidc_secrets %%DIR%%/secrets.toml { session_timeout 8h; cookie_name house; }';
sub block { my ($text, $names) = @_; return $ngx->conf_error($ngx->expand("$text server { listen 127.0.0.1:1; server_name a.example; auth_oidc " . ($names // 'default') . '; }')) }
$ngx->write_file('secrets.toml', "$shared$client\[auth.house]\n$client", 0600);
is block($common), undef, 'a block for every entry';
is block("$common oidc_provider house { session_timeout 1h; }"), undef, 'and another one for one entry behind it';
is block("oidc_provider house { session_timeout 1h; client_secret_file %%DIR%%/client; } $common"), undef, 'or before it' if $ngx->write_file('client', 'other', 0600);
is block('oidc_secrets %%DIR%%/secrets.toml { }'), undef, 'a block with nothing in it';
is block("oidc_secrets\n  \"%%DIR%%/secrets.toml\"\n  # a remark {\n  {\n display_name House; }"), undef, 'a block on its own lines';
like block('oidc_secrets %%DIR%%/secrets.toml { session_timeout soon; }'), qr/^invalid value "soon" in "session_timeout", write a time like 30s, 10m or 8h/, 'a bad value in the block';
like block('oidc_secrets %%DIR%%/secrets.toml { colour red; }'), qr/^unknown directive "colour"/, 'an unknown directive in the block';
like block('oidc_secrets %%DIR%%/secrets.toml { session_timeout 1h; session_timeout 2h; }'), qr/"session_timeout" directive is duplicate/, 'one twice in the block';
like block('oidc_secrets %%DIR%%/secrets.toml { client_auth_method private_key_jwt; }'), qr/^"client_auth_method private_key_jwt" needs a key: .* in oidc_provider "(?:default|house)"/, 'one that fits no entry';
like block('oidc_secrets %%DIR%%/none.toml;'), qr{^cannot read "\S*none\.toml" of "oidc_secrets"}, 'no file';
like block('oidc_secrets %%DIR%%/empty.toml;'), qr{^"\S*empty\.toml" of "oidc_secrets" is empty}, 'an empty file' if $ngx->write_file('empty.toml', '', 0600);
like block('oidc_secrets;'), qr/^invalid number of arguments in "oidc_secrets" directive/, 'no argument';
$ngx->write_file('other.toml', "$shared\[auth.second]\n$client", 0600);
mkdir $ngx->dir . '/more';
$ngx->write_file('more/a.conf', "oidc_secrets %%DIR%%/other.toml { session_timeout 2h; }\n");
is block("oidc_secrets %%DIR%%/secrets.toml; include %%DIR%%/more/*.conf;", 'default second'), undef, 'with a block in an included file, without one here';
is block("include %%DIR%%/more/a.conf;\n# oidc_secrets x {\noidc_secrets %%DIR%%/secrets.toml;", 'default second'), undef, 'and the other way round';
like block("oidc_secrets %%DIR%%/secrets.toml; oidc_secrets %%DIR%%/secrets.toml { }"), qr/^the provider "(?:default|house)" is in two files of "oidc_secrets"/, 'one file twice';

# ---- issuers for several organisations ----

my $entra = 'issuer "https://login.microsoftonline.com/%s/v2.0"; client_id c; client_secret s;';
for my $case (
    ['{tenantid}', '', 0], ['common', '', 0], ['organizations', '', 0], ['{tenantid}', 'issuer_tenants any;', 1], ['common', 'issuer_tenants 11111111-2222-3333-4444-555555555555;', 1],
    ['11111111-2222-3333-4444-555555555555', '', 1], ['organizations', 'issuer_tenants a b;', 1],
) {
    my ($path, $more, $taken) = @$case;
    my $error = block('oidc_provider entra { ' . sprintf($entra, $path) . " $more }", 'entra');
    $taken ? is($error, undef, "issuer .../$path/... with \"$more\"")
        : like($error, qr/^"issuer" stands for every organisation of the world: write "issuer_tenants ID \.\.\.;" with those that may come in, or "issuer_tenants any;"/, "issuer .../$path/... without issuer_tenants");
}
like block('oidc_provider entra { ' . sprintf($entra, 'common') . ' issuer_tenants any a; }', 'entra'), qr/^"any" in "issuer_tenants" stands alone: remove it or the IDs beside it/, 'any and another';
like block('oidc_provider entra { ' . sprintf($entra, 'common') . ' issuer_tenants a/b; }', 'entra'), qr/^invalid value "a\/b" in "issuer_tenants", write tenant IDs as in the claim "tid", or "any"/, 'no tenant ID';

$ngx->write_file('secrets.toml', "$shared$client", 0600);
like said("$shared$client", 'house'), qr/unknown provider "house"/, 'a provider that the file does not have';

like warned("$shared$client" . "colour = 1\n"), qr/"colour" of \[auth\] is not used/, 'a warning for what is not used';
like warned("$shared$client" . 'client_kwargs = { verify = false, state = "x" }'), qr/"state" of "client_kwargs" is not used/, 'and for what is ours';
like warned("$shared$client" . 'client_kwargs = { token_endpoint_auth_method = "none" }'), qr/"token_endpoint_auth_method" of "client_kwargs" is not used/, 'an authentication without the secret';
like warned("$shared$client" =~ s/cookie_secret = .*/cookie_secret = "short"/r), qr/"cookie_secret" of \[auth\] is short/, 'a short secret is taken with a warning';
like join(' ', do { $ngx->write_file('secrets.toml', "$shared$client", 0644); chmod 0644, $ngx->dir . '/secrets.toml'; $ngx->conf_warnings($ngx->expand(http('default'))) }),
    qr/can be read by everybody/, 'a file that everybody reads';

# ---- signing in with nothing but the file ----

my $op = OIDC::Provider->new;
my $site = OIDC::Nginx->new(http => OIDC::Test::app_conf() . $op->tls_front . <<"END");
    oidc_secrets %%DIR%%/secrets.toml { ssl_trusted_certificate @{[$op->ca]}; session_timeout 1h; login_args ui_locales; cookie_name HOUSE; }
    oidc_provider house { session_timeout 8h; }
    server {
        listen 127.0.0.1:%%PORT_site%%;
        server_name localhost;
        auth_oidc house;
        location / { add_header X-Provider \$oidc_provider; add_header X-Expires \$oidc_session_expires; proxy_pass http://127.0.0.1:%%PORT_app%%; }
    }
END
$site->write_file('secrets.toml', <<"END", 0600);
[auth]
redirect_uri = "http://localhost:%%PORT_site%%/house/oauth2callback"
cookie_secret = "0123456789abcdef0123456789abcdef"
[auth.house]
client_id = "@{[$op->client_id]}"
client_secret = "@{[$op->client_secret]}"
server_metadata_url = "@{[$op->issuer]}$well_known"
client_kwargs = { login_hint = "a\$b", hd = "a.example", max_age = 300 }
END
$site->start;
my $browser = OIDC::Test::browser($site, $op);
my $asked = $browser->get('/house/auth/login?provider=house&return_to=/app', follow => 0)->header('Location') // '';
like $asked, qr/[?&]scope=openid(?:\+|%20)email(?:\+|%20)profile(?:&|$)/, 'the scope of Streamlit';
like $asked, qr/[?&]prompt=select_account(?:&|$)/, 'its prompt';
like $asked, qr/[?&]login_hint=a%24b(?:&|$)/, 'a value is no variable';
like $asked, qr/[?&]hd=a\.example(?:&|$)/, 'what Streamlit itself would drop';
like $asked, qr/[?&]max_age=300(?:&|$)/, 'a number';
like $asked, qr{[?&]redirect_uri=http%3A%2F%2Flocalhost%3A\d+%2Fhouse%2Foauth2callback(?:&|$)}, 'the redirect_uri of the file';
my $page = $browser->login('/app');
is $page->status, 200, 'signed in';
is $page->header('X-Provider'), 'house', 'by the entry of the file';
cmp_ok abs($page->header('X-Expires') - time - 8 * 3600), '<', 600, 'for as long as its own block says, over the block of the file';
ok $browser->cookies->find('HOUSE'), 'with the cookie that the block of the file names';
like $browser->get('/house/auth/login?provider=house&ui_locales=de', follow => 0)->header('Location') // '', qr/[?&]ui_locales=de(?:&|$)/, 'and the arguments that it lets through';

# The metadata may end its issuer in a slash, and no other difference is taken.
for my $case (['/', 200], ['/other', 503]) {
    my ($end, $status) = @$case;
    my $port = OIDC::Nginx::free_port();
    my $other = OIDC::Provider->new(tls => 0, port => $port, issuer => "http://127.0.0.1:$port$end");
    my $nginx = OIDC::Nginx->new(http => OIDC::Test::app_conf() . <<'END');
        oidc_secrets %%DIR%%/secrets.toml;
        server { listen 127.0.0.1:%%PORT_site%%; server_name localhost; auth_oidc default;
            location / { proxy_pass http://127.0.0.1:%%PORT_app%%; } }
END
    $nginx->write_file('secrets.toml', <<"END", 0600);
[auth]
redirect_uri = "http://localhost:%%PORT_site%%/oauth2callback"
cookie_secret = "0123456789abcdef0123456789abcdef"
client_id = "@{[$other->client_id]}"
client_secret = "@{[$other->client_secret]}"
server_metadata_url = "$other->{config}{origin}$well_known"
END
    $nginx->start;
    my $visitor = OIDC::Test::browser($nginx, $other);
    my $got = $status == 200 ? $visitor->login('/app') : $visitor->get('/app');
    is $got->status, $status, "an issuer that ends in $end";
    like $nginx->error_log, qr{metadata could not be fetched: expected "http://127\.0\.0\.1:\d+", found "http://127\.0\.0\.1:\d+/other"}, 'and the log says so' if $status != 200;
    $nginx->stop;
}

done_testing;
