<?xml version="1.0" encoding="UTF-8"?>
<?xml-stylesheet type="text/xsl" href="#"?>
<xsl:stylesheet version="1.0" xmlns:xsl="http://www.w3.org/1999/XSL/Transform" xmlns:d="data:,contenu"
    xmlns:c="urn:hl7-org:v3">
  <xsl:output method="html" encoding="UTF-8"/>
  <xsl:template match="/">
    <html lang="fr">
      <head><title><xsl:value-of select="//c:ClinicalDocument/c:title"/></title></head>
      <body>
        <h1><xsl:value-of select="//c:ClinicalDocument/c:title"/></h1>
        <xsl:for-each select="//c:structuredBody//c:section">
          <h2><xsl:value-of select="c:title"/></h2>
          <p><xsl:value-of select="c:text"/></p>
        </xsl:for-each>
      </body>
    </html>
  </xsl:template>
  <d:Contenu>
$document
  </d:Contenu>
</xsl:stylesheet>
