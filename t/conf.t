# `nginx -t`: every mistake is found, and the message names the directive, what was wrong and what to write.

use strict;
use warnings;

use FindBin;
use lib "$FindBin::Bin/lib";

use OIDC::Test;

my $ngx = OIDC::Nginx->new;
my $secret = '0123456789abcdef0123456789abcdef';
$ngx->write_file('secret', "$secret\n", 0600);
$ngx->write_file('short', "short\n", 0600);
$ngx->write_file('open', "$secret\n", 0644);
$ngx->write_file('empty', "\n", 0600);
$ngx->write_file('no_key', "no key\n", 0600);
$ngx->write_file('part.conf', "client_id c;\n", 0600);
$ngx->write_file('typo.conf', "client_idd c;\n", 0600);

# The block with a server that uses it. The line under test is the third one.
sub block { return "oidc_provider my_idp { issuer https://idp.example;\nclient_id c;\n$_[0]\n}\n" . server('auth_oidc my_idp;') }
sub server { return "server { listen 127.0.0.1:1; server_name a.example; $_[0] }\n" }
sub emerg { my ($text) = @_; return $ngx->conf_error($ngx->expand($text)) }
sub refused { my ($name, $text, $expected) = @_; is emerg($text), $expected, $name }
sub accepted { my ($name, $text) = @_; is emerg($text), undef, $name }
sub warned { my ($name, $text, @expected) = @_; is_deeply [$ngx->conf_warnings($ngx->expand($text))], \@expected, $name }

my $in = 'in oidc_provider "my_idp" in http.conf:3';
my $empty = 'give it a value or remove the line in http.conf:3';
my $time = 'write a time like 30s, 10m or 8h in http.conf:3';
my $flag = 'directive, it must be "on" or "off" in http.conf:3';

# ---- values of the provider's block ----

my @values = (
    ['config_url idp;', qq(invalid URL "idp" in "config_url", write https://host/path $in)],
    ['config_url ftp://idp.example/;', qq(invalid URL "ftp://idp.example/" in "config_url", write https://host/path $in)],
    ['config_url http://idp.example/;',
        qq("config_url" must begin with https:// ("http://idp.example/"), or write "insecure_http on" for a test set-up $in)],
    ['cookie_name "a b";', qq(invalid value "a b" in "cookie_name", use letters, digits, "-", "_" and "." $in)],
    ['cookie_name a=b;', qq(invalid value "a=b" in "cookie_name", use letters, digits, "-", "_" and "." $in)],
    (map { ["cookie_name $_;", qq("$_" in "cookie_name" belongs to another cookie of this module, write another name $in)] }
        qw(NGX_OIDC_LOGIN_x NGX_OIDC_LOOP NGX_OIDC_LOGOUT __Host-NGX_OIDC_LOOP)),
    (map { ["redirect_uri $_;", qq(invalid value "$_" in "redirect_uri", write a path or an absolute URL $in)] }
        qw(callback //a.example/cb /a?b ftp://a.example/cb)),
    ['redirect_uri https://a.example/cb?x=1;', qq("redirect_uri" has a query, write it without one $in)],
    (map { ["logout_uri $_;", qq(invalid value "$_" in "logout_uri", write a path that begins with "/" $in)] } qw(logout https://a.example/out)),
    (map { ["login_uri $_;", qq(invalid value "$_" in "login_uri", write a path that begins with "/" $in)] } qw(login https://a.example/in)),
    (map { ["post_logout_uri $_;", qq(invalid value "$_" in "post_logout_uri", write a path or an absolute URL $in)] } qw(bye /bye?x=1)),
    ['session_store nowhere;', qq(unknown zone "nowhere" in "session_store", declare it: "keyval_zone zone=nowhere:8m;" $in)],
    (map { ["$_ missing;", qq(cannot read "missing" of "$_" $in)] } qw(ssl_trusted_certificate ssl_crl ssl_certificate_key)),
    ['ssl_certificate missing; ssl_certificate_key missing;', qq(cannot read "missing" of "ssl_certificate" $in)],
    ['ssl_certificate %%DIR%%/secret;', qq("ssl_certificate" needs "ssl_certificate_key FILE;" beside it $in)],
    (map { ["$_ yes;", qq(invalid value "yes" in "$_" $flag)] } qw(logout_token_hint userinfo insecure_http ssl_verify)),
    (map { ["$_ soon;", qq(invalid value "soon" in "$_", $time)] }
        qw(session_timeout session_max_age clock_skew max_age login_timeout connect_timeout read_timeout)),
    ['session_max_age -1;', qq(invalid value "-1" in "session_max_age", $time)],
    (map { ["$_ 0;", qq(invalid value in "$_", it must be at least 1s $in)] } qw(session_timeout login_timeout)),
    (map { ["$_ 0;", qq(invalid value "0" in "$_", it must be at least 1ms in http.conf:3)] } qw(connect_timeout read_timeout)),
    ['pkce maybe;', 'invalid value "maybe" in "pkce", it must be "on" or "off" in http.conf:3'],
    ['pkce off;', qq("pkce off" needs a "client_secret": a public client is safe with PKCE only $in)],
    ['client_auth_method basic;', 'invalid value "basic" in "client_auth_method", it must be "client_secret_basic", "client_secret_post", '
            . '"client_secret_jwt", "private_key_jwt", "tls_client_auth", "self_signed_tls_client_auth" or "none" in http.conf:3'],
    (map { ["client_auth_method $_;", qq("client_auth_method" by secret needs "client_secret" or "client_secret_file" $in)] }
        qw(client_secret_basic client_secret_post client_secret_jwt)),
    ['client_auth_method private_key_jwt;', qq("client_auth_method private_key_jwt" needs a key: write "client_key FILE;" $in)],
    (map { ["client_auth_method $_;", qq("client_auth_method" by TLS needs a certificate: write "ssl_certificate FILE;" $in)] }
        qw(tls_client_auth self_signed_tls_client_auth)),
    ['extra_auth_args "a=%zz";', 'invalid value "a=%zz" in "extra_auth_args", write a query string: name=value&other=a%20value in http.conf:3'],
    ['extra_auth_args "a=$nope";', 'unknown "nope" variable'],
    ['scope "a\"b";', 'invalid value in "scope", a scope has neither quotes nor backslashes in http.conf:3'],
    (map { ["id_token_signing_algs $_;", qq(invalid value "none" in "id_token_signing_algs", it must be RS256, RS384, RS512, PS256, PS384, PS512, )
            . qq(ES256, ES384, ES512, EdDSA, HS256, HS384 or HS512 $in)] } 'none', 'RS256 none', '"RS256 none"'),
    (map { [qq($_ "";), qq(invalid value "" in "$_", $empty)] } qw(id_token_signing_algs acr_values)),
    ['cookie_secret short;', '"cookie_secret" is too short: a secret has at least 32 bytes, for example the output of "openssl rand -base64 32" in http.conf:3'],
    ['cookie_secret_file %%DIR%%/short;',
        '"cookie_secret_file" is too short: a secret has at least 32 bytes, for example the output of "openssl rand -base64 32" in http.conf:3'],
    ["cookie_secret $secret; " x 3, '"cookie_secret" is given more than twice: the first seals, the second still opens in http.conf:3'],
    (map { ["$_ missing;", qq(cannot read "missing" of "$_" in http.conf:3)] } qw(client_secret_file cookie_secret_file client_key)),
    (map { ["$_ %%DIR%%/empty;", qq("empty" of "$_" is empty in http.conf:3)] } qw(client_secret_file cookie_secret_file client_key)),
    ["client_secret x;\nclient_secret_file %%DIR%%/secret;",
        '"client_secret" and "client_secret_file" exclude each other: remove one of them in oidc_provider "my_idp" in http.conf:4'],
    ['client_key %%DIR%%/no_key;',
        qq("client_key" is of no use: client key: expected an unencrypted private key in PEM form, found none $in)],
    ['client_key %%DIR%%/no_key x=1;', 'invalid parameter "x=1" in "client_key", write kid=... or alg=... in http.conf:3'],
    ['http_proxy proxy:3128;', qq(invalid value "proxy:3128" in "http_proxy", write http://host:port $in)],
    (map { [qq($_ "";), qq(invalid value "" in "$_", $empty)] } qw(client_secret client_secret_file config_url cookie_name redirect_uri logout_uri
        post_logout_uri login_uri display_name session_store ssl_trusted_certificate ssl_crl ssl_name ssl_certificate ssl_certificate_key http_proxy)),
    # One path, one purpose.
    ['login_uri /oidc_callback;', 'the path "/oidc_callback" is used for two purposes (redirect_uri, logout_uri, login_uri): give each its own in http.conf:1'],
    ['logout_uri /oidc_login;', 'the path "/oidc_login" is used for two purposes (redirect_uri, logout_uri, login_uri): give each its own in http.conf:1'],
    ['redirect_uri https://b.example/oidc_login;',
        'the path "/oidc_login" is used for two purposes (redirect_uri, logout_uri, login_uri): give each its own in http.conf:1'],
    # What does not belong here.
    ['nonsense on;', 'unknown directive "nonsense" in http.conf:3'],
    ['proxy_pass http://a.example;', '"proxy_pass" directive is not allowed here in http.conf:3'],
    ['auth_oidc my_idp;', '"auth_oidc" directive is not allowed here in http.conf:3'],
    ['include %%DIR%%/typo.conf;', 'unknown directive "client_idd" in typo.conf:1'],
    ['include %%DIR%%/missing;', 'open() "missing" failed (2: No such file or directory) in http.conf:3'],
);
refused $_->[0] =~ s/\n/ /r, block($_->[0]), $_->[1] for @values;

# ---- twice, and without a value ----

my %sample = (
    (map { $_ => 'x' } qw(issuer client_id client_secret client_secret_file cookie_name display_name session_store ssl_trusted_certificate ssl_crl ssl_name
        ssl_certificate ssl_certificate_key http_proxy scope id_token_signing_algs acr_values client_key)),
    (map { $_ => '/x' } qw(redirect_uri logout_uri post_logout_uri login_uri config_url)),
    (map { $_ => 'on' } qw(logout_token_hint userinfo insecure_http ssl_verify pkce)),
    (map { $_ => '1h' } qw(session_timeout session_max_age clock_skew max_age login_timeout connect_timeout read_timeout)),
    client_auth_method => 'none', extra_auth_args => 'a=b',
);
for my $name (sort keys %sample) {
    my $line = "$name $sample{$name};";
    my @once = $name =~ /^(?:issuer|client_id)$/ ? ($line) : ($line, $line);
    refused "$name twice", block("@once"), qq("$name" directive is duplicate in http.conf:3);
    refused "$name without a value", block("$name;"), qq(invalid number of arguments in "$name" directive in http.conf:3);
    refused "$name outside of a provider", "$line", qq("$name" directive is not allowed here in http.conf:1) unless $name =~ /^ssl_|^resolver/;
}
refused 'cookie_secret without a value', block('cookie_secret;'), 'invalid number of arguments in "cookie_secret" directive in http.conf:3';
refused 'client_id of two words', block('client_secret a b;'), 'invalid number of arguments in "client_secret" directive in http.conf:3';

# ---- the block itself ----

sub provider { my ($name, $lines) = @_; return "oidc_provider $name { $lines }\n" }
my $good = 'issuer https://idp.example; client_id c;';
refused 'no issuer', provider(a => 'client_id c;'), '"issuer" is missing: write "issuer https://...;" in oidc_provider "a" in http.conf:1';
refused 'no client_id', provider(a => 'issuer https://idp.example;'),
    '"client_id" is missing: write "client_id ...;" as registered at the provider in oidc_provider "a" in http.conf:1';
refused 'issuer without a scheme', provider(a => 'issuer idp; client_id c;'),
    'invalid URL "idp" in "issuer", write https://host/path in oidc_provider "a" in http.conf:1';
refused 'issuer with a fragment', provider(a => 'issuer "https://idp.example/#a"; client_id c;'),
    'invalid URL "https://idp.example/#a" in "issuer", write https://host/path in oidc_provider "a" in http.conf:1';
refused 'issuer with a query', provider(a => 'issuer https://idp.example?a=b; client_id c;'),
    '"issuer" has a query, write it as the metadata of the provider has it in oidc_provider "a" in http.conf:1';
refused 'issuer over http', provider(a => 'issuer http://idp.example; client_id c;'),
    '"issuer" must begin with https:// ("http://idp.example"), or write "insecure_http on" for a test set-up in oidc_provider "a" in http.conf:1';
accepted "issuer over http on $_", provider(a => qq(issuer "http://$_:8080"; client_id c;)) for qw(localhost idp.localhost 127.0.0.1 [::1]);
accepted 'issuer over http with insecure_http on', provider(a => 'issuer http://idp.example; client_id c; insecure_http on;');
for my $name ('off', '"a b"', '"a;b"', 'a/b') {
    my $bare = $name =~ s/"//gr;
    refused "a provider called $name", provider($name => $good),
        qq(invalid provider name "$bare", use letters, digits, "-", "_" and ".", and not "off" in http.conf:1);
}
refused 'a provider twice', provider(a => $good) . provider(a => $good), 'duplicate oidc_provider "a" in http.conf:2';
refused 'a provider without a name', 'oidc_provider { }', 'invalid number of arguments in "oidc_provider" directive in http.conf:1';
refused 'a provider without a block', 'oidc_provider a;', 'directive "oidc_provider" has no opening "{" in http.conf:1';
refused 'a provider in a server', server(provider(a => $good)), '"oidc_provider" directive is not allowed here in http.conf:1';
refused 'a server in a provider', "oidc_provider a {\n" . server('') . '}', '"server" directive is not allowed here in http.conf:2';
accepted 'names with -, _, digits and dots', provider('9a-b_c.d' => $good) . server('auth_oidc 9a-b_c.d;');
accepted 'include inside of the block', "oidc_provider a { issuer https://idp.example; include %%DIR%%/part.conf; }\n";
accepted 'client_secret_file', block('client_secret_file %%DIR%%/secret;');
accepted 'two cookie secrets', block("cookie_secret $secret; cookie_secret_file %%DIR%%/secret;");
accepted 'scopes in all forms', provider(a => "$good scope openid email;") . provider(b => qq($good scope "openid email";)) . provider(c => "$good scope openid+email;")
    . provider(d => "$good scope email;");
accepted 'display_name and ssl_name', block('display_name "Us & Them"; ssl_name idp.example; http_proxy http://proxy.example:3128;');

# ---- who may come in ----

my $p = provider(my_idp => $good);
refused 'auth_oidc with an unknown provider', $p . server('auth_oidc nobody;'), 'unknown provider "nobody" in "auth_oidc": there is no oidc_provider of that name in http.conf:2';
refused 'auth_oidc with one unknown of two', $p . server('auth_oidc my_idp nobody;'),
    'unknown provider "nobody" in "auth_oidc": there is no oidc_provider of that name in http.conf:2';
refused 'auth_oidc off and more', $p . server('auth_oidc off my_idp;'),
    '"auth_oidc off" stands alone: remove "off" or the provider names beside it in http.conf:2';
refused 'auth_oidc without a value', server('auth_oidc;'), 'invalid number of arguments in "auth_oidc" directive in http.conf:1';
refused 'auth_oidc twice', $p . server('auth_oidc my_idp; auth_oidc my_idp;'), '"auth_oidc" directive is duplicate in http.conf:2';
refused 'auth_oidc with an unknown variable', $p . server('auth_oidc $nope;'), 'unknown "nope" variable';
refused "auth_oidc in $_->[0]", $p . server($_->[1]), '"auth_oidc" directive is not allowed here in http.conf:2'
    for ['if', 'if ($host) { auth_oidc my_idp; }'], ['an if of a location', 'location / { if ($host) { auth_oidc my_idp; } }'],
    ['limit_except', 'location / { limit_except GET { auth_oidc my_idp; } }'];
accepted 'a provider behind its use', server('auth_oidc my_idp;') . $p;
accepted 'auth_oidc for everything, off for a location', $p . 'auth_oidc my_idp;' . server('location / { auth_oidc off; }');
accepted 'auth_oidc by a variable', 'map $host $idp { default my_idp; } ' . $p . server('auth_oidc $idp;');

refused 'auth_oidc_anonymous with another word', server('auth_oidc_anonymous maybe;'),
    'invalid value "maybe" in "auth_oidc_anonymous", it must be "auto", "login", "deny" or "allow" in http.conf:1';
refused 'auth_oidc_anonymous with two words', 'auth_oidc_anonymous auto deny;', 'invalid number of arguments in "auth_oidc_anonymous" directive in http.conf:1';
refused 'auth_oidc_anonymous twice', 'auth_oidc_anonymous auto; auth_oidc_anonymous auto;', '"auth_oidc_anonymous" directive is duplicate in http.conf:1';
accepted "auth_oidc_anonymous $_", server("auth_oidc_anonymous $_;") for qw(auto login deny allow), '$host';
for my $url (qw(x ftp://x https://a.example/path https://a.example?x)) {
    refused "auth_oidc_base_url $url", server("auth_oidc_base_url $url;"),
        qq(invalid URL "$url" in "auth_oidc_base_url", write scheme and host only: https://app.example.com in http.conf:1);
}
refused 'auth_oidc_base_url twice', server('auth_oidc_base_url https://a.example; auth_oidc_base_url https://a.example;'),
    '"auth_oidc_base_url" directive is duplicate in http.conf:1';
accepted "auth_oidc_base_url $_", server("auth_oidc_base_url $_;") for qw(https://a.example https://a.example/ http://a.example:8080 $scheme://$host);

# ---- keyval_zone ----

my $takes = 'it takes zone=name:size, timeout=time, state=file, type=string|ip|prefix and sync, each once in http.conf:1';
refused "keyval_zone $_->[0]", "keyval_zone $_->[0];", $_->[1] for
    ['', 'invalid number of arguments in "keyval_zone" directive in http.conf:1'],
    ['zone=a', 'invalid zone "zone=a" in "keyval_zone", write zone=name:size in http.conf:1'],
    ['zone=:1m', 'invalid zone "zone=:1m" in "keyval_zone", write zone=name:size in http.conf:1'],
    ['zone=a:x', 'invalid zone size "x" in "keyval_zone", it must be at least 32k in http.conf:1'],
    ['zone=a:1k', 'invalid zone size "1k" in "keyval_zone", it must be at least 32k in http.conf:1'],
    ['timeout=1h', '"keyval_zone" needs the parameter zone=name:size in http.conf:1'],
    map({ ["zone=a:1m $_", qq(invalid parameter "$_" in "keyval_zone", $takes)] } qw(nonsense nonsense=1 timeout=soon type=number state= zone=b:1m));
refused 'keyval_zone twice', 'keyval_zone zone=a:1m; keyval_zone zone=a:1m;', 'duplicate zone "a" in "keyval_zone" in http.conf:1';
refused 'keyval_zone in a location', server('location / { keyval_zone zone=a:1m; }'), '"keyval_zone" directive is not allowed here in http.conf:1';
accepted "keyval_zone zone=a:1m $_", "keyval_zone zone=a:1m $_;" for '', 'timeout=1h', 'state=%%DIR%%/state', 'type=string', 'timeout=1h type=string';
accepted 'session_store of a zone that stands before', "keyval_zone zone=a:1m;\n" . block('session_store a;');
accepted 'session_store of a zone that stands behind', block('session_store a;') . 'keyval_zone zone=a:1m;';
warned 'keyval_zone with sync', 'keyval_zone zone=a:1m sync;',
    '"sync" of "keyval_zone" is ignored: sessions stay on this host, for a fleet write "session_store redis://..." in http.conf:1';

# ---- warnings ----

warned 'a usual configuration: nothing', block('client_secret x;');
warned "a $_ that everybody can read", block("$_ %%DIR%%/open;"), qq("open" of "$_" can be read by everybody: chmod 600 in http.conf:3)
    for qw(client_secret_file cookie_secret_file);
my $nameless = 'this server with "auth_oidc" has no "server_name" and no "auth_oidc_base_url": it builds its redirect_uri from whatever Host a client sends';
warned 'a server without a name', $p . "\nserver { listen 127.0.0.1:1; location / { auth_oidc my_idp; } }", "$nameless in http.conf:3";
warned "a server called $_", $p . "\nserver { listen 127.0.0.1:1; server_name $_; location / { auth_oidc my_idp; } }", "$nameless in http.conf:3" for '_', '""', '!@#';
warned "a server called $_", $p . "server { listen 127.0.0.1:1; server_name $_; auth_oidc my_idp; }" for '_ a.example', '"~."', '*.example', '"" 7.example';
warned 'a server without a name, with a base URL', $p . 'server { listen 127.0.0.1:1; auth_oidc_base_url https://a.example; auth_oidc my_idp; }';
warned 'a server without a name and without us', $p . 'server { listen 127.0.0.1:1; }';
warned 'return beside auth_oidc', $p . server('location / { auth_oidc my_idp; return 200; }'),
    '"return" beside "auth_oidc" answers before anybody is asked to sign in: move it into a location with "auth_oidc off", or serve a file in http.conf:2';
warned 'return beside auth_oidc off', $p . server('location / { auth_oidc off; return 200; }');

done_testing;
