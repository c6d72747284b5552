package OIDC::Streamlit;

# Streamlit's own formats, by core Perl: provider tokens are made, identity cookies are read. Its real code is in t/real.

use strict;
use warnings;

use Compress::Zlib qw(uncompress);
use Digest::SHA qw(hmac_sha1 hmac_sha256 sha1);
use Exporter 'import';
use JSON::PP ();
use MIME::Base64 qw(decode_base64url encode_base64url);

our @EXPORT_OK = qw(provider_token read_identity unsign);

my $json = JSON::PP->new->utf8->canonical->allow_nonref;

# As st.login("name") sends it; `%change` replaces members of header and payload, or the key.
sub provider_token {
    my ($secret, $name, %change) = @_;
    my %header = (alg => $change{alg} // 'HS256', typ => 'JWT');
    my %payload = (provider => $name, exp => time + 120, %{ $change{payload} || {} });
    delete $payload{$_} for grep { !defined $payload{$_} } keys %payload;
    my $input = join '.', map { encode_base64url($json->encode($_)) } \%header, \%payload;
    return "$input." . ($header{alg} eq 'none' ? '' : encode_base64url(hmac_sha256($input, $change{secret} // $secret)));
}

# The text inside of a signed cookie, and its stamp. Dies of a wrong signature.
sub unsign {
    my ($secret, $name, $value) = @_;
    my ($signed, $signature) = $value =~ /^(.*)\.([^.]+)$/ or die "no signature\n";
    die "wrong signature\n" unless decode_base64url($signature) eq hmac_sha1($signed, sha1("${name}signer$secret"));
    my ($packed, $body, $stamp) = $signed =~ /^(\.?)([^.]+)\.([^.]+)$/ or die "no stamp\n";
    my $text = decode_base64url($body);
    $text = uncompress($text) // die "not compressed\n" if $packed;
    my $seconds = 0;
    $seconds = $seconds * 256 + ord for split //, decode_base64url($stamp);
    return ($json->decode($text), $seconds, $packed ? 1 : 0);
}

# What a Cookie line says of the user: { user, tokens, stamp, packed }, or undef without an identity.
sub read_identity {
    my ($secret, $line) = @_;
    my %cookies = map { /^\s*([^=]*)=(.*)$/ ? ($1, $2) : () } split /;/, $line // '';
    my $user = $cookies{_streamlit_user} // return undef;
    my ($text, $stamp, $packed) = unsign($secret, '_streamlit_user', $user);
    my ($tokens) = defined $cookies{_streamlit_user_tokens} ? unsign($secret, '_streamlit_user_tokens', $cookies{_streamlit_user_tokens}) : ();
    my $inner = JSON::PP->new->allow_nonref;  # the text is decoded already
    return { user => $inner->decode($text), stamp => $stamp, packed => $packed, tokens => defined $tokens ? $inner->decode($tokens) : undef };
}

1;
