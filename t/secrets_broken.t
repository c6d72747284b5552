# What st.login() would stumble over at run time, nginx -t finds, with file, line and key, and without showing a secret.

use strict;
use warnings;

use FindBin;
use lib "$FindBin::Bin/lib";

use OIDC::Test;

my $ngx = OIDC::Nginx->new;
my $well_known = '/.well-known/openid-configuration';
my $secret = '0123456789abcdef0123456789abcdef';
my $shared = qq([auth]\nredirect_uri = "https://a.example/oauth2callback"\ncookie_secret = "$secret"\n);
my $client = qq(client_id = "c"\nclient_secret = "$secret"\nserver_metadata_url = "https://idp.example$well_known"\n);
my $alone = "$shared$client";                          # lines 1 to 6
my $named = "$shared\[auth.house]\n$client";           # the table in line 4, keys in 5 to 7

sub said {
    my ($file) = @_;
    $ngx->write_file('secrets.toml', $file, 0600);
    my $error = $ngx->conf_error($ngx->expand('oidc_secrets %%DIR%%/secrets.toml; server { listen 127.0.0.1:1; server_name a.example; }'));
    return defined $error ? $error =~ s{ in \S*secrets\.toml:}{ in secrets.toml:}r : 'taken';
}

my @cases;
sub broken { my ($what, $file, $message, $line) = @_; push @cases, [$what, $file, qq("oidc_secrets": $message in secrets.toml:$line)]; return }
sub line_of { my ($file, $key) = @_; my @lines = split /\n/, $file; return 1 + (grep { $lines[$_] =~ /^\Q$key\E\b/ } 0 .. $#lines)[0] }

broken 'no TOML: an open list', 'auth = [', 'no TOML: the syntax ends here', 1;
broken 'no TOML: no value', "[auth]\nredirect_uri =\n", 'no TOML: the syntax ends here', 2;
broken 'no TOML: no quotes', "[auth]\nredirect_uri = https://a.example\n", 'no TOML: the syntax ends here', 2;
broken 'no TOML: a key twice', "${alone}client_id = \"d\"\n", 'no TOML: the syntax ends here', 7;
broken 'no TOML: a table twice', "$named\[auth.house]\n$client", 'no TOML: the syntax ends here', 8;
broken 'no TOML: not UTF-8', "[auth]\nredirect_uri = \"\xff\"\n", 'no TOML: the syntax ends here', 2;
broken 'no table [auth]', "x = 1\n", 'there is no table [auth]: st.login() needs it', 1;
broken 'another table', "[AUTH]\nx = 1\n", 'there is no table [auth]: st.login() needs it', 1;
broken 'auth is a list', "auth = []\n", 'there is no table [auth]: st.login() needs it', 1;
broken 'auth is a list of tables', "[[auth]]\nx = 1\n", 'there is no table [auth]: st.login() needs it', 1;
broken 'an empty [auth]', "[auth]\n", '"redirect_uri" is missing in [auth]', 1;

for my $case (['[auth]', $alone, 1], ['[auth.house]', $named, 4]) {
    my ($place, $file, $table) = @$case;
    for my $key (qw(redirect_uri cookie_secret client_id client_secret server_metadata_url)) {
        my $shared_key = $key =~ /^(?:redirect_uri|cookie_secret)$/;
        my $holder = $shared_key ? '[auth]' : $place;
        my $line = line_of($file, $key);
        my $with = sub { my ($value) = @_; return $file =~ s/^\Q$key\E = .*$/$key = $value/mr };
        broken "$place: no $key", $file =~ s/^\Q$key\E = .*\n//mr, qq("$key" is missing in ) . ($shared_key ? '[auth]' : $place), $shared_key && $table > 1 ? $table - 1 : $table;
        for my $value ('""', '7', '["a"]', 'true', '{ a = "b" }') {
            next if $value eq '{ a = "b" }' && !$shared_key;
            broken "$place: $key is $value", $with->($value), qq("$key" of $holder must be a string that is not empty), $line;
        }
        broken "$place: $key with a line break", $with->('"a\nb"'), qq("$key" of $holder holds a control character), $line;
    }
}

broken '{port}', $alone =~ s{a\.example}{a.example:{port}}r, '"redirect_uri" of [auth] holds {port}, which is a port of Streamlit\'s own: write the URL that browsers use', 1;
my $no_url = '"redirect_uri" of [auth] must be an absolute URL without a query, for example https://app.example.com/oauth2callback';
broken "redirect_uri $_->[0]", $alone =~ s{https://a\.example/oauth2callback}{$_->[1]}r, $no_url, 1
    for ['is a path', '/oauth2callback'], ['has no scheme', 'a.example/oauth2callback'], ['of another scheme', 'ftp://a.example/oauth2callback'], ['with a query', 'https://a.example/oauth2callback?a=b'], ['without a host', 'https:///oauth2callback'];
my $no_metadata = qq("server_metadata_url" of [auth] must be a URL that ends in $well_known);
broken "server_metadata_url $_->[0]", $alone =~ s{https://idp\.example\Q$well_known\E}{$_->[1]}r, $no_metadata, 1
    for ['is the issuer', 'https://idp.example'], ['is another file', 'https://idp.example/.well-known/oauth-authorization-server'], ['is a path', $well_known], ['with a query', "https://idp.example$well_known?a=b"];
broken "a provider named $_", "$shared\[auth.$_]\n$client", qq(the provider name "$_" is refused by st.login() too: use letters, digits, "-" and ".", no "_", and not "off"), 4 for qw(my_house off);
broken 'a provider named with a blank', "$shared\[auth.\"a b\"]\n$client", 'the provider name "a b" is refused by st.login() too: use letters, digits, "-" and ".", no "_", and not "off"', 4;
broken "$_ is a text", "$alone$_ = \"x\"\n", qq("$_" must be a table), 7 for qw(client_kwargs authorize_params);
broken "$_ is a list", "$named$_ = []\n", qq("$_" must be a table), 8 for qw(client_kwargs authorize_params);
my $expose = '"expose_tokens" of [auth] must be "id", "access" or a list of them';
broken "expose_tokens is $_", "${alone}expose_tokens = $_\n", $expose, 7 for '"all"', '7', 'true', '["id", "refresh"]', '[["id"]]';
for my $key (qw(authorize_url access_token_url)) {
    broken "$key is a path", "$named$key = \"/authorize\"\n", qq("$key" of [auth.house] must be a URL: https://host/path), 8;
    broken "$key is a number", "$named$key = 7\n", qq("$key" of [auth.house] must be a string that is not empty), 8;
}

cmp_ok scalar @cases, '>=', 60, 'a table of at least 60 files';
is said($alone), 'taken', 'the sound file without a name is taken';
is said($named), 'taken', 'and that with one';
for my $case (@cases) {
    my ($what, $file, $expected) = @$case;
    my $error = said($file);
    is $error, $expected, $what;
    unlike $error, qr/\Q$secret\E/, "$what: no secret in the message";
}

done_testing;
