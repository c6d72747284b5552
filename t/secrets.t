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
like said("$shared$client", 'house'), qr/unknown provider "house"/, 'a provider that the file does not have';

my @broken = (
    ['no TOML', 'auth = [', qr/no TOML/],
    ['no table', "x = 1\n", qr/there is no table \[auth\].* in secrets\.toml:1/],
    ['an array', "auth = []\n", qr/there is no table \[auth\]/],
    ['{port}', $shared =~ s{a\.example}{a.example:{port}}r . $client, qr/\{port\}/],
    ['a relative redirect_uri', $shared =~ s{https://a\.example}{}r . $client, qr/"redirect_uri" of \[auth\] must be an absolute URL/],
    ['another metadata URL', "$shared$client" =~ s{\Q$well_known\E}{}r, qr/"server_metadata_url" of \[auth\] must be a URL that ends in/],
    ['a name with _', "$shared\[auth.my_house]\n$client", qr/provider name "my_house" is refused by st\.login\(\) too/],
    ['a name of two parts', "$shared$client\[auth.off]\n$client", qr/provider name "off"/],
    ['client_kwargs is no table', "$shared$client" . 'client_kwargs = "x"', qr/"client_kwargs" must be a table in secrets\.toml:7/],
);
for my $key (qw(redirect_uri cookie_secret client_id client_secret server_metadata_url)) {
    my $file = "$shared$client";
    push @broken, ["$key missing", $file =~ s/^\Q$key\E = .*\n//mr, qr/"$key" is missing in \[auth\]/],
        ["$key empty", $file =~ s/^\Q$key\E = .*$/$key = ""/mr, qr/"$key" of \[auth\] must be a string that is not empty in secrets\.toml:\d/],
        ["$key a number", $file =~ s/^\Q$key\E = .*$/$key = 7/mr, qr/"$key" of \[auth\] must be a string/],
        ["$key a list", $file =~ s/^\Q$key\E = .*$/$key = ["a"]/mr, qr/"$key" of \[auth\] must be a string/],
        ["$key with a line break", $file =~ s/^\Q$key\E = .*$/$key = "a\\nb"/mr, qr/"$key" of \[auth\] holds a control character/];
}
for my $case (@broken) {
    my ($name, $file, $expected) = @$case;
    my $error = said($file);
    like $error // 'taken', $expected, $name;
    unlike $error // '', qr/0123456789abcdef/, "$name: no secret in the message";
}

like warned("$shared$client" . "colour = 1\n"), qr/"colour" of \[auth\] is not used/, 'a warning for what is not used';
like warned("$shared$client" . 'client_kwargs = { verify = false, state = "x" }'), qr/"state" of "client_kwargs" is not used/, 'and for what is ours';
like warned("$shared$client" . 'client_kwargs = { token_endpoint_auth_method = "none" }'), qr/"token_endpoint_auth_method" of "client_kwargs" is not used/, 'an authentication without the secret';
like warned("$shared$client" =~ s/cookie_secret = .*/cookie_secret = "short"/r), qr/"cookie_secret" of \[auth\] is short/, 'a short secret is taken with a warning';
like join(' ', do { $ngx->write_file('secrets.toml', "$shared$client", 0644); chmod 0644, $ngx->dir . '/secrets.toml'; $ngx->conf_warnings($ngx->expand(http('default'))) }),
    qr/can be read by everybody/, 'a file that everybody reads';

# ---- signing in with nothing but the file ----

my $op = OIDC::Provider->new;
my $site = OIDC::Nginx->new(http => OIDC::Test::app_conf() . $op->tls_front . <<"END");
    oidc_secrets %%DIR%%/secrets.toml;
    oidc_provider house { ssl_trusted_certificate @{[$op->ca]}; }
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
cmp_ok abs($page->header('X-Expires') - time - 30 * 86400), '<', 600, 'for 30 days';

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
