"""The Content-Type of a file, by the last extension of its name.

The table ships, so that a type is the same on every machine. It holds what IANA's registry, nginx and mime-db agree on,
and where they do not, what is registered; source code is plain text, to be read and not to be run or downloaded. What
is in a file is never looked at: an upload must not become a page because it looks like one.
"""

from __future__ import annotations

import os
from collections.abc import Mapping

__all__ = ["UNKNOWN", "content_type"]

#: The type of what has no known extension.
UNKNOWN = b"application/octet-stream"

# A type and its extensions on each line; "*" is for the extension itself.
_TABLE = b"""
# Web
application/*+json jrd importmap speculationrules
application/*+xml atom rss
application/* json5 wasm
text/html html htm shtml
application/xhtml+xml xhtml xht
text/css css
text/javascript js mjs cjs
application/json json map topojson har
application/ld+json jsonld
application/manifest+json webmanifest
text/cache-manifest appcache manifest
application/opensearchdescription+xml osdx
text/x-component htc
text/vnd.wap.wml wml
application/vnd.wap.wmlc wmlc

# XML
application/*+xml wsdl ttml xspf
application/xml xml xsd rng
application/xml-dtd dtd ent
application/xslt+xml xsl xslt
application/mathml+xml mathml mml
application/rdf+xml rdf owl
application/voicexml+xml vxml
application/smil+xml smil smi
application/metalink4+xml meta4
application/x-java-jnlp-file jnlp

# Fonts
font/* woff2 woff ttf otf
font/collection ttc
application/vnd.ms-fontobject eot

# Images
image/vnd.* dwg dxf
image/* png apng gif webp avci jxl heic heif jph jxr cgm emf wmf ktx ktx2
image/x-* jng tga xcf
image/jpeg jpg jpeg jpe jfif
image/avif avif avifs
image/heic-sequence heics
image/heif-sequence heifs
image/svg+xml svg svgz
image/x-icon ico cur
image/bmp bmp dib
image/tiff tif tiff
image/jp2 jp2 jpg2
image/jpx jpx jpf
image/jpm jpm jpgm
image/vnd.ms-photo wdp
image/vnd.adobe.photoshop psd
image/vnd.djvu djvu djv
image/vnd.ms-dds dds
image/vnd.radiance hdr
image/vnd.wap.wbmp wbmp
image/vnd.zbrush.pcx pcx
image/aces exr
image/fits fits fit fts
image/x-adobe-dng dng
image/x-portable-anymap pnm
image/x-portable-bitmap pbm
image/x-portable-graymap pgm
image/x-portable-pixmap ppm
image/x-xbitmap xbm
image/x-xpixmap xpm
image/x-xwindowdump xwd

# Audio
audio/x-ms-* wma wax
audio/* flac wav ac3 eac3 amr xm s3m
audio/mpeg mp3 mpga mp2 m2a m3a
audio/mp4 m4a m4b mp4a
audio/aac aac adts
audio/ogg ogg oga opus spx
audio/webm weba
audio/matroska mka
audio/midi mid midi kar rmi
audio/vnd.dts dts
audio/amr-wb awb
audio/basic au snd
audio/x-aiff aif aiff aifc
audio/x-caf caf
audio/x-mpegurl m3u
audio/x-scpls pls
audio/x-pn-realaudio ra ram

# Video, playlists and subtitles
video/x-ms-* vob wm wmv wmx wvx
video/x-* m4v flv f4v mng
video/mp4 mp4 mp4v mpg4
video/webm webm
video/ogg ogv
video/matroska mkv
video/mp2t ts m2ts m2t mts
video/iso.segment m4s
video/mpeg mpg mpeg mpe m1v m2v
video/quicktime mov qt
video/3gpp 3gp 3gpp
video/3gpp2 3g2
video/mj2 mj2 mjp2
video/x-ms-asf asf asx
video/x-msvideo avi
application/ogg ogx
application/mxf mxf
application/vnd.rn-realmedia rm
application/vnd.rn-realmedia-vbr rmvb
application/vnd.apple.mpegurl m3u8
application/dash+xml mpd
text/vtt vtt
application/x-subrip srt

# Documents and books
application/* pdf rtf oxps
application/postscript ps eps ai
application/epub+zip epub
application/oebps-package+xml opf
application/x-dtbncx+xml ncx
application/x-mobipocket-ebook mobi
application/vnd.amazon.ebook azw
application/vnd.amazon.mobi8-ebook azw3
application/vnd.comicbook+zip cbz
application/vnd.comicbook-rar cbr
application/vnd.ms-xpsdocument xps
application/vnd.ms-htmlhelp chm
application/x-dvi dvi
text/markdown md markdown
text/richtext rtx
text/troff roff man me ms tr
text/vnd.graphviz gv

# Office
application/vnd.apple.* pages numbers
application/msword doc dot
application/vnd.openxmlformats-officedocument.wordprocessingml.document docx
application/vnd.openxmlformats-officedocument.wordprocessingml.template dotx
application/vnd.ms-word.document.macroenabled.12 docm
application/vnd.ms-word.template.macroenabled.12 dotm
application/vnd.ms-excel xls xla xlc xlm xlt xlw
application/vnd.openxmlformats-officedocument.spreadsheetml.sheet xlsx
application/vnd.openxmlformats-officedocument.spreadsheetml.template xltx
application/vnd.ms-excel.sheet.binary.macroenabled.12 xlsb
application/vnd.ms-excel.sheet.macroenabled.12 xlsm
application/vnd.ms-excel.template.macroenabled.12 xltm
application/vnd.ms-powerpoint ppt pps pot
application/vnd.openxmlformats-officedocument.presentationml.presentation pptx
application/vnd.openxmlformats-officedocument.presentationml.slideshow ppsx
application/vnd.openxmlformats-officedocument.presentationml.template potx
application/vnd.ms-powerpoint.presentation.macroenabled.12 pptm
application/vnd.ms-powerpoint.slideshow.macroenabled.12 ppsm
application/vnd.ms-powerpoint.template.macroenabled.12 potm
application/vnd.ms-project mpp mpt
application/vnd.ms-works wps wks wcm wdb
application/vnd.ms-outlook msg
application/vnd.visio vsd vss vst vsw vsdx vtx
application/onenote one onetoc onetoc2 onepkg
application/x-msaccess mdb
application/x-mspublisher pub
application/x-mswrite wri
application/vnd.oasis.opendocument.text odt
application/vnd.oasis.opendocument.text-master odm
application/vnd.oasis.opendocument.text-template ott
application/vnd.oasis.opendocument.text-web oth
application/vnd.oasis.opendocument.spreadsheet ods
application/vnd.oasis.opendocument.spreadsheet-template ots
application/vnd.oasis.opendocument.presentation odp
application/vnd.oasis.opendocument.presentation-template otp
application/vnd.oasis.opendocument.graphics odg
application/vnd.oasis.opendocument.graphics-template otg
application/vnd.oasis.opendocument.base odb
application/vnd.oasis.opendocument.chart odc
application/vnd.oasis.opendocument.formula odf
application/vnd.apple.keynote key

# Archives
application/x-* lzma lz4 tar cpio arj sea xar
application/zip zip
application/gzip gz tgz
application/x-bzip bz
application/x-bzip2 bz2 tbz2 boz
application/x-xz xz txz
application/zstd zst tzst
application/x-lzip lz
application/x-compress z
application/x-7z-compressed 7z
application/vnd.rar rar
application/vnd.ms-cab-compressed cab
application/x-lzh-compressed lzh lha
application/x-stuffit sit
application/x-stuffitx sitx
application/mac-binhex40 hqx

# Packages, images of disks, programs
application/vnd.* flatpak appimage
application/vnd.apple.* pkpass pkpasses
application/* appx appxbundle appinstaller msix msixbundle
application/vnd.debian.binary-package deb udeb
application/x-redhat-package-manager rpm
application/x-wheel+zip whl
application/java-archive jar war ear
application/java-vm class
application/x-java-archive-diff jardiff
application/vnd.android.package-archive apk
application/x-apple-diskimage dmg
application/x-iso9660-image iso
application/vnd.flatpak.ref flatpakref
application/vnd.apple.installer+xml mpkg
application/x-apple-aspen-config mobileconfig
application/x-chrome-extension crx
application/x-xpinstall xpi
application/x-shockwave-flash swf
application/x-cocoa cco
application/x-makeself run
application/x-pilot prc pdb
text/vnd.sun.j2me.app-descriptor jad
application/x-bittorrent torrent
application/octet-stream bin exe dll msi msp msm img

# Three dimensions
model/* stl obj mtl 3mf jt u3d
model/gltf-binary glb
model/gltf+json gltf
model/vnd.usda usda
model/vnd.usdz+zip usdz
model/step step stp
model/iges iges igs
model/vrml wrl vrml
model/x3d+xml x3d
model/vnd.collada+xml dae
application/vnd.autodesk.fbx fbx

# Data
application/vnd.* msgpack pmtiles
application/*+xml gml gpx
text/* csv n3
application/* sql cbor trig
chemical/x-* cif xyz
text/tab-separated-values tsv
application/x-ndjson ndjson jsonl
application/yaml yaml yml
application/vnd.apache.parquet parquet
application/vnd.apache.arrow.file arrow feather
application/vnd.apache.arrow.stream arrows
application/vnd.sqlite3 sqlite sqlite3
application/geopackage+sqlite3 gpkg
application/geo+json geojson
application/geo+json-seq geojsons geojsonl
application/vnd.google-earth.kml+xml kml
application/vnd.google-earth.kmz kmz
application/vnd.mapbox-vector-tile mvt
application/x-netcdf nc cdf
application/x-hdf5 hdf5 h5
application/dicom dcm
application/x-ipynb+json ipynb
application/n-triples nt
application/n-quads nq
text/turtle ttl

# Calendars, cards, mail
text/calendar ics ifb
text/vcard vcf vcard
message/rfc822 eml mht mhtml mime
application/mbox mbox

# Keys and certificates
application/x-x509-ca-cert pem crt der
application/pkix-cert cer
application/pkix-crl crl
application/pkcs8 p8
application/pkcs10 p10 csr
application/pkcs7-mime p7m p7c
application/pkcs7-signature p7s
application/x-pkcs7-certificates p7b spc
application/x-pkcs12 p12 pfx
application/pgp-signature asc sig
application/pgp-encrypted pgp gpg

# Plain text and source code
text/plain txt text log ini cfg conf properties env list in def nfo lst toml jsonc desktop service strings diff patch
text/plain py pyi pyx rb erb rake gemspec php pl pm lua tcl tk r jl awk sed sh bash zsh fish ksh csh bat cmd ps1 psm1
text/plain c h cc cpp cxx hh hpp hxx inl m mm d go mod rs zig nim swift dart java kt kts groovy gradle scala sbt cs vb
text/plain hs lhs ml mli fs fsi fsx ex exs erl hrl clj cljs cljc edn lisp el scm rkt f f90 for pas asm s v sv vhd vhdl
text/plain jsx tsx vue svelte astro coffee scss sass less styl graphql gql glsl vert frag wgsl hlsl wat wast
text/plain proto thrift tf tfvars hcl nix cmake mk dockerfile vim rst adoc org tex sty bib textile po ass ssa lrc
"""


def _read(table: bytes) -> dict[bytes, bytes]:
    types: dict[bytes, bytes] = {}
    for line in table.splitlines():
        if line and not line.startswith(b"#"):
            kind, *extensions = line.split()
            # What is not text says in itself how it is encoded, or is always UTF-8 (RFC 7303 §3, RFC 8259 §8.1).
            full = kind + b"; charset=utf-8" if kind.startswith(b"text/") else kind
            types.update((extension, full.replace(b"*", extension)) for extension in extensions)
    return types


_TYPES = _read(_TABLE)
# Documents whose names are laid down without an extension.
_NAMES = {
    b"apple-app-site-association": b"application/json",
    b"openid-configuration": b"application/json",  # OpenID Connect Discovery 1.0 §4
    b"oauth-authorization-server": b"application/json",  # RFC 8414 §3
}
_NO_OVERRIDES: Mapping[str, bytes] = {}


def content_type(name: bytes, overrides: Mapping[str, bytes] = _NO_OVERRIDES) -> bytes:
    """The value of Content-Type for a file of that *name*, which is one segment of a path.

    *overrides* has types of the user's own, sent as they are, by extension in lower case without the dot. Case does not
    matter in *name*. Dots at the start of a name are not the dot of an extension.
    """
    stem, _, extension = name.rpartition(b".")
    if not stem.lstrip(b"."):
        return _NAMES.get(name, UNKNOWN)
    if overrides and (found := overrides.get(os.fsdecode(extension).lower())):
        return found
    return _TYPES.get(extension.lower(), UNKNOWN)
